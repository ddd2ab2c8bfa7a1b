//! The id of a request, in its response and on its log lines.

use http::HeaderValue;
use uuid::fmt::Hyphenated;

/// The longest id that is taken from a request; longer ones would fill the log.
const MAX_LENGTH: usize = 128;

/// In the extensions of a response: the id of the run that it is of, where that is not the id of
/// the request.
#[derive(Debug, Clone)]
pub(crate) struct AnswerId(pub(crate) RequestId);

/// A request id. A new one is kept as text and becomes a header value once, in the response.
#[derive(Debug, Clone)]
pub(crate) enum RequestId {
    /// An id that the request came with.
    Given(HeaderValue),
    /// A random UUID.
    New([u8; Hyphenated::LENGTH]),
}

impl RequestId {
    /// The first candidate that is usable, otherwise a random id.
    pub(crate) fn choose<const N: usize>(candidates: [Option<&HeaderValue>; N]) -> Self {
        candidates
            .into_iter()
            .flatten()
            .find(|value| usable(value))
            .map_or_else(Self::random, |value| Self::Given(value.clone()))
    }

    /// An id that was accepted before; `None` for a text that is not an id.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let value = HeaderValue::from_str(text).ok().filter(usable)?;
        Some(Self::Given(value))
    }

    /// A random (version 4) UUID. It is not a secret, so a fast generator is enough.
    pub(crate) fn random() -> Self {
        let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
        let mut text = [0; Hyphenated::LENGTH];
        id.hyphenated().encode_lower(&mut text);
        Self::New(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        // It is ASCII, so the default is never used.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The text, without the check that it is one.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Given(value) => value.as_bytes(),
            Self::New(text) => text,
        }
    }

    /// The id as one segment of a path.
    pub(crate) fn path_segment(&self) -> String {
        // The only characters of an id that a path gives a meaning to.
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

/// Characters that need no escape in JSON, in a log line or in a header.
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
            RequestId::choose([Some(&value)]).as_str().to_owned()
        };
        assert_eq!(id_of("abc-1"), "abc-1");
        for bad in ["", "a b", "\"quoted\"", &"x".repeat(129)] {
            assert_ne!(id_of(bad), bad);
        }
    }

    #[test]
    fn a_random_id_is_a_uuid() {
        let id = RequestId::random();
        assert_eq!(id.as_str().len(), 36);
        assert_eq!(id.as_str().as_bytes()[14], b'4');
        assert_ne!(id.as_str(), RequestId::random().as_str());
    }
}
