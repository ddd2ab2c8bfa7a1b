//! Header names parsed at compile time; a lookup by `&str` parses the name each time.

use http::HeaderName;
use ppio_agent_protocol::headers;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static(headers::REQUEST_ID);
pub(crate) const AGENT_CORE_REQUEST_ID: HeaderName =
    HeaderName::from_static(headers::AGENT_CORE_REQUEST_ID);
pub(crate) const AGENT_CORE_SESSION_ID: HeaderName =
    HeaderName::from_static(headers::AGENT_CORE_SESSION_ID);
pub(crate) const RESPONSE_FORMAT: HeaderName = HeaderName::from_static(headers::RESPONSE_FORMAT);
pub(crate) const TIMEOUT: HeaderName = HeaderName::from_static(headers::TIMEOUT);
/// Makes nginx and compatible proxies send events on without buffering.
pub(crate) const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
