//! The id of a request, in its response and on its log lines.

use http::HeaderValue;

use super::random;

/// The maximum length of an id from a request, in bytes; longer ids would fill the log.
const MAX_LENGTH: usize = 128;

/// The length of a UUID as text, in bytes.
const UUID_LENGTH: usize = 36;

/// The id of the run that a response belongs to, in the extensions of the response, if it is not
/// the id of the request.
#[derive(Debug, Clone)]
pub(crate) struct AnswerId(pub(crate) RequestId);

/// A request id. A new id is stored as text, and is converted to a header value once, for the
/// response.
#[derive(Debug, Clone)]
pub(crate) enum RequestId {
    /// An id from the request's headers.
    Given(HeaderValue),
    /// A random UUID.
    New([u8; UUID_LENGTH]),
}

impl RequestId {
    /// Returns the first candidate that is usable.
    pub(crate) fn given<const N: usize>(candidates: [Option<&HeaderValue>; N]) -> Option<Self> {
        let mut candidates = candidates.into_iter().flatten();
        let value = candidates.find(|value| usable(value))?;
        Some(Self::Given(value.clone()))
    }

    /// Parses an id that was accepted before. Returns `None` for a text that is not an id.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let value = HeaderValue::from_str(text).ok().filter(usable)?;
        Some(Self::Given(value))
    }

    /// Returns a random (version 4) UUID that cannot be guessed: a caller that has the id of a run
    /// may read and cancel the run.
    pub(crate) fn random() -> Self {
        Self::New(uuid(random::secret()))
    }

    /// Returns a UUID from a fast generator, for a request whose data is not kept. Such an id gives
    /// access to nothing.
    #[inline]
    pub(crate) fn predictable() -> Self {
        Self::New(uuid(random::predictable()))
    }

    pub(crate) fn as_str(&self) -> &str {
        // An id is ASCII, so the default is never used.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Returns the text as bytes, without the check that it is UTF-8.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Given(value) => value.as_bytes(),
            Self::New(text) => text,
        }
    }

    /// Returns the id as one segment of a path.
    pub(crate) fn path_segment(&self) -> String {
        // Of the characters that are valid in an id, only `/` and `#` would end the segment.
        self.as_str().replace('/', "%2F").replace('#', "%23")
    }

    pub(crate) fn header_value(&self) -> HeaderValue {
        match self {
            Self::Given(value) => value.clone(),
            Self::New(text) => HeaderValue::from_bytes(text)
                .unwrap_or_else(|_| HeaderValue::from_static("unknown")),
        }
    }
}

/// Returns a UUID of version 4 with these bits, as text.
#[inline]
fn uuid(bits: u128) -> [u8; UUID_LENGTH] {
    // Sets the version and the variant.
    let bits = bits & !(0xf << 76 | 0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let mut digits = [0; 32];
    let parts = bits.to_be_bytes();
    for (part, digits) in parts.chunks_exact(4).zip(digits.chunks_exact_mut(8)) {
        let part = u32::from_be_bytes([part[0], part[1], part[2], part[3]]);
        digits.copy_from_slice(&hexadecimal(part));
    }
    let mut text = [b'-'; UUID_LENGTH];
    for (at, group) in [
        (0, 0..8),
        (9, 8..12),
        (14, 12..16),
        (19, 16..20),
        (24, 20..32),
    ] {
        text[at..at + group.len()].copy_from_slice(&digits[group]);
    }
    text
}

/// Returns the digits of a number, computed in parallel: this runs for every request without an id.
#[inline]
fn hexadecimal(number: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Each half of a byte becomes a byte.
    let number = u64::from(number);
    let number = (number << 16 | number) & 0x0000_ffff_0000_ffff;
    let number = (number << 8 | number) & 0x00ff_00ff_00ff_00ff;
    let number = (number << 4 | number) & (EACH * 0x0f);
    // 1 for each digit over 9.
    let letters = (number + EACH * 6) >> 4 & EACH;
    let to_letter = u64::from(b'a' - b'0' - 10);
    (number + EACH * u64::from(b'0') + letters * to_letter).to_be_bytes()
}

/// Whether an id is neither empty nor too long, and none of its characters needs an escape in JSON,
/// in a log line or in a header.
fn usable(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=MAX_LENGTH).contains(&bytes.len())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=@#".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_safe_id_of_the_request_is_kept() {
        let id_of = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            let given = RequestId::given([Some(&value)]);
            given.map(|id| id.as_str().to_owned())
        };
        assert_eq!(id_of("abc-1").as_deref(), Some("abc-1"));
        for bad in ["", "a b", "\"quoted\"", &"x".repeat(129)] {
            assert_eq!(id_of(bad), None);
        }
    }

    #[test]
    fn a_new_id_is_a_uuid() {
        let text = |bits| String::from_utf8(uuid(bits).to_vec()).unwrap();
        let bits = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
        assert_eq!(text(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(text(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(text(bits), "01234567-89ab-4def-8123-456789abcdef");
        for new in [RequestId::random, RequestId::predictable] {
            assert_ne!(new().as_str(), new().as_str());
        }
    }
}
