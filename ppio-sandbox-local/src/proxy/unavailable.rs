//! The answer for a sandbox that is not reachable.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

/// Returns status 502, which clients read as "the sandbox is not running".
pub(crate) fn unavailable(id: &str, port: Option<u16>, message: &str) -> Response {
    unavailable_because(id, port, message, None)
}

/// Returns [`unavailable`] with the type of the error, by which clients distinguish it.
pub(super) fn unavailable_because(
    id: &str,
    port: Option<u16>,
    message: &str,
    error_type: Option<&str>,
) -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Unavailable<'a> {
        code: u16,
        message: &'a str,
        sandbox_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none", rename = "error_type")]
        error_type: Option<&'a str>,
    }
    let status = StatusCode::BAD_GATEWAY;
    let body = Unavailable {
        code: status.as_u16(),
        message,
        sandbox_id: id,
        port,
        error_type,
    };
    (status, axum::Json(body)).into_response()
}
