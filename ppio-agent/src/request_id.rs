//! The name of one request, in its answer and on every log line.

use http::{HeaderMap, HeaderValue};
use ppio_agent_protocol::headers;

/// A longer id is not one; it is somebody's attempt to fill the log.
const MAX_LENGTH: usize = 128;

/// A request id, kept as the header value that every response carries.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The caller's id where it sent a usable one, otherwise a new UUID.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        [headers::REQUEST_ID, headers::AGENT_CORE_REQUEST_ID]
            .into_iter()
            .find_map(|name| headers.get(name).filter(|value| usable(value)))
            .map_or_else(Self::random, |value| Self(value.clone()))
    }

    /// A random (version 4) UUID. It names a request and guards nothing, so a fast generator will
    /// do.
    pub(crate) fn random() -> Self {
        let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
        let mut buffer = uuid::Uuid::encode_buffer();
        let text = id.hyphenated().encode_lower(&mut buffer);
        Self(HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("unknown")))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(crate) fn header_value(&self) -> &HeaderValue {
        &self.0
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

    fn id_of(name: &'static str, value: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn the_callers_id_is_kept_when_it_is_harmless() {
        assert_eq!(id_of("x-request-id", "abc-1"), "abc-1");
        for bad in ["", "a b", "\"quoted\"", &"x".repeat(129)] {
            assert_ne!(id_of("x-request-id", bad), bad);
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
