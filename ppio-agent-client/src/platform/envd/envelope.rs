//! The envelopes of a Connect stream: one byte of flags, four of length, then the message.

use bytes::{Buf, Bytes, BytesMut};

/// Set on the last envelope, which carries no message but how the stream ended.
const END_STREAM: u8 = 0x02;

/// One envelope.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) is_end: bool,
    pub(super) message: Bytes,
}

/// Wraps a request.
pub(super) fn wrap(message: &[u8]) -> Option<Bytes> {
    let length = u32::try_from(message.len()).ok()?;
    let mut wrapped = BytesMut::with_capacity(message.len() + 5);
    wrapped.extend_from_slice(&[0]);
    wrapped.extend_from_slice(&length.to_be_bytes());
    wrapped.extend_from_slice(message);
    Some(wrapped.freeze())
}

/// Cuts a byte stream into envelopes, however it was cut on its way.
#[derive(Debug)]
pub(super) struct Unwrapper {
    bytes: BytesMut,
    /// The longest message.
    limit: usize,
}

impl Unwrapper {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            limit,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole envelope, or a length that is over the limit.
    pub(super) fn next(&mut self) -> Result<Option<Envelope>, usize> {
        let Some((head, _)) = self.bytes.split_first_chunk::<5>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let is_end = head[0] & END_STREAM != 0;
        if length > self.limit {
            return Err(length);
        }
        if self.bytes.len() < 5 + length {
            return Ok(None);
        }
        self.bytes.advance(5);
        let message = self.bytes.split_to(length).freeze();
        Ok(Some(Envelope { is_end, message }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_survive_any_cutting() {
        let mut wire = wrap(b"{\"a\":1}").expect("short").to_vec();
        wire.extend_from_slice(&wrap(b"").expect("short"));
        wire.extend_from_slice(&[2, 0, 0, 0, 2, b'{', b'}']);
        for size in 1..=wire.len() {
            let mut unwrapper = Unwrapper::new(1024);
            let mut found = Vec::new();
            for piece in wire.chunks(size) {
                unwrapper.push(piece);
                while let Some(envelope) = unwrapper.next().expect("well formed") {
                    found.push((envelope.is_end, envelope.message.to_vec()));
                }
            }
            let expected = [
                (false, b"{\"a\":1}".to_vec()),
                (false, Vec::new()),
                (true, b"{}".to_vec()),
            ];
            assert_eq!(found, expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_length_that_is_garbage_is_refused_before_memory_is_asked_for() {
        let mut unwrapper = Unwrapper::new(1024);
        unwrapper.push(b"HTTP/");
        assert_eq!(unwrapper.next(), Err(0x5454_502f));
    }
}
