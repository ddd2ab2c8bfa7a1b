//! Access to the daemon, and the user of the sandbox that a call runs as.

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

use super::connect::{ConnectCode, ConnectError};
use crate::api::ApiError;
use crate::clock::unix_seconds;
use crate::identity::constant_time_eq;
use crate::sandbox::LocalSandbox;

pub(super) async fn require_token(
    Extension(sandbox): Extension<Arc<LocalSandbox>>,
    request: Request,
    next: Next,
) -> Response {
    let is_file = request.uri().path() == "/files";
    let allowed = match request.headers().get("x-access-token") {
        Some(token) => constant_time_eq(token.as_bytes(), sandbox.access_token.as_bytes()),
        None if is_file => {
            let method = request.method().as_str();
            match signed(request.uri(), method, &sandbox.access_token) {
                Ok(signed) => signed,
                Err(error) => return error.into_response(),
            }
        }
        None => false,
    };
    if allowed {
        return next.run(request).await;
    }
    let message = "the sandbox's daemon requires its access token: send `envdAccessToken` of the \
                   answer that created the sandbox as `X-Access-Token`";
    if is_file {
        ApiError::new(StatusCode::UNAUTHORIZED, message).into_response()
    } else {
        ConnectError::new(ConnectCode::Unauthenticated, message).into_response()
    }
}

#[derive(Debug, Deserialize)]
struct SignedLink {
    #[serde(default)]
    path: String,
    #[serde(default)]
    username: String,
    signature: Option<String>,
    signature_expiration: Option<u64>,
}

/// Checks the signature of a link to one file, which replaces the access token.
fn signed(uri: &Uri, method: &str, token: &str) -> Result<bool, ApiError> {
    let Ok(link) = serde_urlencoded::from_str::<SignedLink>(uri.query().unwrap_or_default()) else {
        return Ok(false);
    };
    let Some(signature) = link.signature else {
        return Ok(false);
    };
    // The signed text joins its parts with `:`, so one text could be two links.
    if link.path.contains(':') || link.username.contains(':') {
        return Err(ApiError::bad_request(
            "the path and the user of a signed link cannot contain `:`: send the access token instead",
        ));
    }
    let operation = if method == "GET" { "read" } else { "write" };
    let mut text = format!("{}:{operation}:{}:{token}", link.path, link.username);
    if let Some(expiration) = link.signature_expiration {
        if expiration < unix_seconds(SystemTime::now()) {
            return Ok(false);
        }
        text = format!("{text}:{expiration}");
    }
    let expected = format!(
        "v1_{}",
        STANDARD_NO_PAD.encode(Sha256::digest(text.as_bytes()))
    );
    Ok(constant_time_eq(
        expected.as_bytes(),
        signature.trim_end_matches('=').as_bytes(),
    ))
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
