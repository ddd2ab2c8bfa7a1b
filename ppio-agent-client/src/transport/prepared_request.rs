//! A request that can be sent several times.

use bytes::Bytes;
use http::Request;

use super::key_support::KeySupport;
use super::limit::BodyLimit;
use super::payload::UploadMeter;
use super::retry::Idempotency;

/// A request that may be sent as often as its [`Idempotency`] allows.
#[derive(Debug, Clone)]
pub(crate) struct PreparedRequest {
    /// The name of the operation in error texts: `create sandbox`, `invoke agent`.
    pub(crate) operation: String,
    /// The request, with an absolute URI; no `Host` header is needed.
    pub(crate) request: Request<Bytes>,
    pub(crate) idempotency: Idempotency,
    /// Whether the server honours the idempotency key of a [`Idempotency::Keyed`] request.
    pub(crate) key_support: KeySupport,
    /// Whether the request is an upgrade to another protocol. An upgrade opens a new connection,
    /// with a tunnel if there is a proxy.
    pub(crate) upgrade: bool,
    /// Whether the request waits while the maximum number of requests is active; cleanup requests
    /// do not wait.
    pub(crate) queue: bool,
    /// Receives the number of bytes of the body sent so far, from zero again for each attempt.
    pub(crate) meter: Option<UploadMeter>,
    /// The size limit of a successful response.
    pub(crate) limit: BodyLimit,
}

impl PreparedRequest {
    /// When the request may be sent again, according to what the server's responses have announced.
    pub(super) fn idempotency(&self) -> Idempotency {
        match self.idempotency {
            Idempotency::Keyed if self.key_support.is_known() => Idempotency::Safe,
            Idempotency::Keyed => Idempotency::IfRejected,
            other => other,
        }
    }
}
