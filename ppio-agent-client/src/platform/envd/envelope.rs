//! Envelopes of a Connect stream: one byte of flags, four of length, then the message.

use bytes::{Buf, Bytes, BytesMut};

/// The flag of the last envelope, whose message is the outcome of the stream.
const END_STREAM: u8 = 0x02;

/// One envelope.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConnectEnvelope {
    pub(super) is_end: bool,
    pub(super) message: Bytes,
}

/// Wraps a message; `None` if it is 4 GiB or larger.
pub(super) fn wrap(message: &[u8]) -> Option<Bytes> {
    let length = u32::try_from(message.len()).ok()?;
    let mut wrapped = BytesMut::with_capacity(message.len() + 5);
    wrapped.extend_from_slice(&[0]);
    wrapped.extend_from_slice(&length.to_be_bytes());
    wrapped.extend_from_slice(message);
    Some(wrapped.freeze())
}

/// Splits a byte stream into envelopes.
#[derive(Debug)]
pub(super) struct EnvelopeDecoder {
    bytes: BytesMut,
    /// The size limit of a message.
    limit: usize,
}

impl EnvelopeDecoder {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            limit,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next complete envelope, or `None` if more bytes are needed. The error is the
    /// length of a message that exceeds the limit.
    pub(super) fn next(&mut self) -> Result<Option<ConnectEnvelope>, usize> {
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
        Ok(Some(ConnectEnvelope { is_end, message }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_decoded_from_any_chunks() {
        let mut wire = wrap(b"{\"a\":1}").expect("short").to_vec();
        wire.extend_from_slice(&wrap(b"").expect("short"));
        wire.extend_from_slice(&[2, 0, 0, 0, 2, b'{', b'}']);
        for size in 1..=wire.len() {
            let mut decoder = EnvelopeDecoder::new(1024);
            let mut found = Vec::new();
            for piece in wire.chunks(size) {
                decoder.push(piece);
                while let Some(envelope) = decoder.next().expect("well formed") {
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
    fn a_length_above_the_limit_is_an_error_before_memory_is_allocated() {
        let mut decoder = EnvelopeDecoder::new(1024);
        decoder.push(b"HTTP/");
        assert_eq!(decoder.next(), Err(0x5454_502f));
    }
}
