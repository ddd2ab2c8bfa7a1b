//! Requires the API key for calls of the control plane.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::api::ApiError;
use crate::shared::Shared;

pub(super) async fn require_key(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    match presented_key(request.headers()) {
        Some(key) if shared.key.matches(key) => Ok(next.run(request).await),
        Some(_) => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "the API key is not that of this local platform",
        )),
        None => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "an API key is required: send `X-API-Key: <key>` or `Authorization: Bearer <key>`",
        )),
    }
}

/// Returns the API key from one of two headers; which one a client sends depends on the call.
fn presented_key(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok();
    }
    let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
