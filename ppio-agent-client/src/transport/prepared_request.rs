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
    /// An absolute URI; no `Host` header is needed.
    pub(crate) request: Request<Bytes>,
    pub(crate) idempotency: Idempotency,
    /// Whether the server honours the idempotency key of a [`Idempotency::Keyed`] request.
    pub(crate) key_support: KeySupport,
    /// Whether it is an upgrade to another protocol, which takes a connection of its own, and
    /// through a proxy a tunnel.
    pub(crate) upgrade: bool,
    /// Whether it waits while the maximum of requests is active; cleanup does not.
    pub(crate) queue: bool,
    /// Reports how much of the body is sent, from zero again with each attempt.
    pub(crate) meter: Option<UploadMeter>,
    /// The size limit of a successful response.
    pub(crate) limit: BodyLimit,
}

impl PreparedRequest {
    /// When the request may be sent again, by what is known of the server now.
    pub(super) fn idempotency(&self) -> Idempotency {
        match self.idempotency {
            Idempotency::Keyed if self.key_support.is_known() => Idempotency::Safe,
            Idempotency::Keyed => Idempotency::IfRejected,
            other => other,
        }
    }
}
