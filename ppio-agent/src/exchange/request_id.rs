//! The name of one request, in its answer and on every log line.

use http::HeaderValue;
use uuid::fmt::Hyphenated;

/// A longer id is not one; it is somebody's attempt to fill the log.
const MAX_LENGTH: usize = 128;

/// A request id. A new one is kept as its text, and becomes a header value once, in the answer.
#[derive(Debug, Clone)]
pub(crate) enum RequestId {
    /// The caller's.
    Given(HeaderValue),
    /// A UUID.
    New([u8; Hyphenated::LENGTH]),
}

impl RequestId {
    /// The first of the caller's ids that is usable, otherwise a new one.
    pub(crate) fn choose<const N: usize>(candidates: [Option<&HeaderValue>; N]) -> Self {
        candidates
            .into_iter()
            .flatten()
            .find(|value| usable(value))
            .map_or_else(Self::random, |value| Self::Given(value.clone()))
    }

    /// A random (version 4) UUID. It names a request and guards nothing, so a fast generator will
    /// do.
    pub(crate) fn random() -> Self {
        let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
        let mut text = [0; Hyphenated::LENGTH];
        id.hyphenated().encode_lower(&mut text);
        Self::New(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        let text = match self {
            Self::Given(value) => value.as_bytes(),
            Self::New(text) => text,
        };
        // Always the text: both are ASCII.
        std::str::from_utf8(text).unwrap_or_default()
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
    fn the_callers_id_is_kept_when_it_is_harmless() {
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
    fn a_new_id_is_a_uuid() {
        let id = RequestId::random();
        assert_eq!(id.as_str().len(), 36);
        assert_eq!(id.as_str().as_bytes()[14], b'4');
        assert_ne!(id.as_str(), RequestId::random().as_str());
    }
}
