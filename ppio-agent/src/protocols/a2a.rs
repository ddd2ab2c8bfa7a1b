//! A2A.

use bytes::Bytes;

use super::ProtocolAgent;
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::json::to_bytes;
use crate::exchange::rejection::Rejection;

/// The methods of a path, if it is one of this protocol.
pub(super) fn allow(_path: &str) -> Option<&'static str> {
    None
}

/// The body of an error.
pub(super) fn error_body(failure: &Failure) -> Bytes {
    to_bytes(&failure.message)
}

/// Answers a request.
pub(super) async fn answer(
    _agent: &ProtocolAgent<'_>,
    _exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    Err(Rejection::no_route(&request).into())
}
