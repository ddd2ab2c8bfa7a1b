//! Who may call the daemon, and as which user of the sandbox.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Extension;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::connect::{Code, ConnectError};
use crate::api_error::ApiError;
use crate::clock::unix_seconds;
use crate::key::constant_time_eq;
use crate::sandbox::Sandbox;

pub(super) async fn require_token(
    Extension(sandbox): Extension<Arc<Sandbox>>,
    request: Request,
    next: Next,
) -> Response {
    let token = request
        .headers()
        .get("x-access-token")
        .and_then(|token| token.to_str().ok());
    let is_file = request.uri().path() == "/files";
    let allowed = match token {
        Some(token) => {
            constant_time_eq(token.as_bytes(), sandbox.access_token.as_bytes()) || !sandbox.secure
        }
        None if !sandbox.secure => true,
        None => {
            is_file
                && signed(
                    request.uri(),
                    request.method().as_str(),
                    &sandbox.access_token,
                )
        }
    };
    if allowed {
        return next.run(request).await;
    }
    let message = "the sandbox is secure: send its access token as `X-Access-Token`";
    if is_file {
        ApiError::new(StatusCode::UNAUTHORIZED, message).into_response()
    } else {
        ConnectError::new(Code::Unauthenticated, message).into_response()
    }
}

#[derive(Debug, Deserialize)]
struct Signed {
    path: Option<String>,
    username: Option<String>,
    signature: Option<String>,
    signature_expiration: Option<u64>,
}

/// Checks the signature of a link to one file, which stands for the token.
fn signed(uri: &Uri, method: &str, token: &str) -> bool {
    let Ok(link) = serde_urlencoded::from_str::<Signed>(uri.query().unwrap_or_default()) else {
        return false;
    };
    let Some(signature) = link.signature else {
        return false;
    };
    let operation = if method == "GET" { "read" } else { "write" };
    let mut text = format!(
        "{}:{operation}:{}:{token}",
        link.path.unwrap_or_default(),
        link.username.unwrap_or_default()
    );
    if let Some(expiration) = link.signature_expiration {
        if expiration < unix_seconds(SystemTime::now()) {
            return false;
        }
        text = format!("{text}:{expiration}");
    }
    let expected = format!(
        "v1_{}",
        STANDARD_NO_PAD.encode(Sha256::digest(text.as_bytes()))
    );
    constant_time_eq(
        expected.as_bytes(),
        signature.trim_end_matches('=').as_bytes(),
    )
}

/// The user named by `Authorization: Basic base64("user:")`; empty when none is named.
pub(super) fn user(headers: &HeaderMap) -> String {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|encoded| STANDARD.decode(encoded.trim()).ok())
        .and_then(|decoded| String::from_utf8(decoded).ok())
        .and_then(|pair| pair.split(':').next().map(str::to_owned))
        .unwrap_or_default()
}
