//! A request that can be sent several times.

use bytes::Bytes;
use http::Request;

use super::limit::BodyLimit;
use super::payload::UploadMeter;
use super::retry::Idempotency;

/// A request that may be sent as often as its [`Idempotency`] allows.
#[derive(Debug, Clone)]
pub(crate) struct PreparedRequest {
    /// The name of the operation in error texts: `create sandbox`, `invoke agent`.
    pub(crate) operation: String,
    /// An absolute URI; no `Host` header is needed.
    pub(crate) request: Request<Bytes>,
    pub(crate) idempotency: Idempotency,
    /// Whether it waits while the maximum of requests is active; cleanup does not.
    pub(crate) queue: bool,
    /// Reports how much of the body is sent, from zero again with each attempt.
    pub(crate) meter: Option<UploadMeter>,
    /// The size limit of a successful response.
    pub(crate) limit: BodyLimit,
}
