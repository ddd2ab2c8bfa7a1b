//! A request, and how it may be sent.

use bytes::Bytes;
use http::Request;

use super::limit::BodyLimit;
use super::payload::Meter;
use super::retry::Idempotency;

/// A request that can be sent as often as its [`Idempotency`] allows.
#[derive(Debug, Clone)]
pub(crate) struct PreparedRequest {
    /// What this is for, in error texts: `create sandbox`, `invoke agent`.
    pub(crate) operation: String,
    /// An absolute URI; no `Host` header is needed.
    pub(crate) request: Request<Bytes>,
    pub(crate) idempotency: Idempotency,
    /// Calls that clean up do not stand in the queue for a connection.
    pub(crate) queue: bool,
    /// Is told how much of the body is sent, from the start again with every attempt.
    pub(crate) meter: Option<Meter>,
    /// The most that is read of an answer that is a success.
    pub(crate) limit: BodyLimit,
}
