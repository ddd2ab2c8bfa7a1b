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
/// Makes nginx and compatible proxies pass events on without buffering.
pub(crate) const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static(headers::IDEMPOTENCY_KEY);
pub(crate) const PPIO_IDEMPOTENCY: HeaderName = HeaderName::from_static(headers::PPIO_IDEMPOTENCY);
pub(crate) const PPIO_INSTANCE: HeaderName = HeaderName::from_static(headers::PPIO_INSTANCE);
pub(crate) const PPIO_ON_DISCONNECT: HeaderName =
    HeaderName::from_static(headers::PPIO_ON_DISCONNECT);
pub(crate) const PPIO_STREAM_IDS: HeaderName = HeaderName::from_static(headers::PPIO_STREAM_IDS);
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static(headers::LAST_EVENT_ID);
pub(crate) const PREFER: HeaderName = HeaderName::from_static(headers::PREFER);
pub(crate) const PREFERENCE_APPLIED: HeaderName =
    HeaderName::from_static(headers::PREFERENCE_APPLIED);
