//! Reads a JSON request body; a malformed one is answered with a 4xx and a message.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use crate::api::ApiError;

/// The parsed body. An empty body is read as `{}`, so that a body whose fields are all optional may
/// be left out.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state).await?;
        Self::parse(&bytes)
    }
}

impl<T: DeserializeOwned> JsonBody<T> {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        let bytes = if bytes.trim_ascii().is_empty() {
            b"{}"
        } else {
            bytes
        };
        serde_json::from_slice(bytes).map(Self).map_err(|error| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                format!("invalid request body: {error}"),
            )
        })
    }
}
