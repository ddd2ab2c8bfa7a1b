//! The id of an invocation, which the agent logs.

use http::{HeaderMap, HeaderName, HeaderValue};
use ppio_agent_protocol::headers;

use crate::core::random;
use crate::error::Error;

/// Returns a random UUID, the form that agents generate as well.
pub(super) fn random() -> String {
    random::uuid()
}

/// Returns the headers of a request with this id.
pub(super) fn headers(request_id: &str) -> Result<HeaderMap, Error> {
    let id = HeaderValue::from_str(request_id).map_err(|_| {
        Error::validation("request_id", "contains characters that no header can carry")
    })?;
    Ok(HeaderMap::from_iter([
        (HeaderName::from_static(headers::REQUEST_ID), id.clone()),
        (HeaderName::from_static(headers::AGENT_CORE_REQUEST_ID), id),
    ]))
}

/// Returns the id in the response, under which the agent logs the call. It may differ from the
/// caller's id.
pub(super) fn of_response(response: &HeaderMap) -> Option<&str> {
    [headers::REQUEST_ID, headers::AGENT_CORE_REQUEST_ID]
        .into_iter()
        .find_map(|name| response.get(HeaderName::from_static(name)))
        .and_then(|id| id.to_str().ok())
        .filter(|id| !id.is_empty())
}
