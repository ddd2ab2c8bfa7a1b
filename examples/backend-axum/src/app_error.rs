//! The response to a browser when the request to the agent failed.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ppio_agent_client::Error;
use serde_json::json;

pub(crate) struct AppError(Error);

impl From<Error> for AppError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let Self(error) = self;
        // The error is only logged: it may contain the account, its quota or internal host names.
        tracing::error!(
            error = %error.report(),
            code = error.code(),
            "a request to the agent failed"
        );
        // Errors of operations wrap their cause, which determines the status.
        let root = error.root();
        let status = match root {
            Error::Validation { .. } => StatusCode::BAD_REQUEST,
            Error::SessionNotFound { .. } => StatusCode::GONE,
            Error::RateLimit { .. } | Error::QuotaExceeded { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Error::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            // The agent rejected the user's input.
            Error::Invocation {
                status: Some(400 | 413 | 422),
                ..
            } => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Invocation { .. } | Error::Network { .. } => StatusCode::BAD_GATEWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let body = Json(json!({ "error": root.code() }));
        let mut response = (status, body).into_response();
        if let Some(after) = error.retry_after() {
            let seconds = HeaderValue::from(after.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
