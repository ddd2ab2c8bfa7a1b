//! Errors that `agent dev` answers itself.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use ppio_agent_protocol::InvocationResponse;

/// Returns an error with the body that agents send.
pub(super) fn error_response(status: StatusCode, error_type: &str, message: &str) -> Response {
    let mut body = InvocationResponse::<()>::failure(message);
    body.error_type = Some(error_type.into());
    (status, axum::Json(body)).into_response()
}
