//! The name of one invocation, on both sides.

use http::{HeaderMap, HeaderName};
use ppio_agent_protocol::headers;

/// A random (version 4) UUID, as the agents' own ids are: what is searched for in a log looks the
/// same wherever it came from.
pub(super) fn random() -> String {
    let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
    id.hyphenated().to_string()
}

/// The id that an answer names, which is what its agent logs: an agent need not take the caller's.
pub(super) fn answered(response: &HeaderMap) -> Option<&str> {
    [headers::REQUEST_ID, headers::AGENT_CORE_REQUEST_ID]
        .into_iter()
        .find_map(|name| response.get(HeaderName::from_static(name)))
        .and_then(|id| id.to_str().ok())
        .filter(|id| !id.is_empty())
}
