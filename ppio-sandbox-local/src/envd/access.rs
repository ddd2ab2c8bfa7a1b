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
use crate::sandbox::{LocalSandbox, check_user};

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
            let link = SignedLink::read(request.uri(), method);
            match link.map(|link| link.is_some_and(|link| link.is_of(&sandbox.access_token))) {
                Ok(is_signed) => is_signed,
                Err(error) => return error.into_response(),
            }
        }
        None => false,
    };
    let named = named_user(&request).map_or(Ok(()), |name| check_user(&name));
    let message = match (allowed, named) {
        (true, Ok(())) => return next.run(request).await,
        (true, Err(error)) => error.to_string(),
        (false, _) => "the sandbox's daemon requires its access token: send `envdAccessToken` of \
                       the answer that created the sandbox as `X-Access-Token`"
            .to_owned(),
    };
    if is_file {
        ApiError::new(StatusCode::UNAUTHORIZED, message).into_response()
    } else {
        ConnectError::new(ConnectCode::Unauthenticated, message).into_response()
    }
}

#[derive(Debug, Deserialize)]
struct LinkQuery {
    #[serde(default)]
    path: String,
    #[serde(default)]
    username: String,
    signature: Option<String>,
    signature_expiration: Option<u64>,
}

/// A link to one file, whose signature replaces the access token.
#[derive(Debug)]
pub(crate) struct SignedLink {
    /// The signed text before and after the access token.
    text: [String; 2],
    signature: String,
}

impl SignedLink {
    /// Parses a link. `None` for a link without a signature or with a malformed query.
    ///
    /// # Errors
    ///
    /// If the link has expired or is ambiguous.
    pub(crate) fn read(uri: &Uri, method: &str) -> Result<Option<Self>, ApiError> {
        let query = serde_urlencoded::from_str::<LinkQuery>(uri.query().unwrap_or_default());
        let Ok(LinkQuery {
            path,
            username,
            signature: Some(signature),
            signature_expiration: expiration,
        }) = query
        else {
            return Ok(None);
        };
        // The signed text joins its parts with `:`, so the same text could stand for two links.
        if path.contains(':') || username.contains(':') {
            return Err(ApiError::bad_request(
                "the path and the user of a signed link cannot contain `:`: send the access \
                 token instead",
            ));
        }
        if expiration.is_some_and(|end| end < unix_seconds(SystemTime::now())) {
            // The text of E2B's daemon, which the tests of E2B's clients compare.
            return Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "signature is already expired",
            ));
        }
        let operation = if method == "GET" { "read" } else { "write" };
        let end = expiration.map_or_else(String::new, |end| format!(":{end}"));
        Ok(Some(Self {
            text: [format!("{path}:{operation}:{username}:"), end],
            signature,
        }))
    }

    /// Whether the link was signed with this access token.
    pub(crate) fn is_of(&self, token: &str) -> bool {
        let digest = Sha256::digest(self.text.join(token).as_bytes());
        let expected = format!("v1_{}", STANDARD_NO_PAD.encode(digest));
        let signature = self.signature.trim_end_matches('=');
        constant_time_eq(expected.as_bytes(), signature.as_bytes())
    }
}

/// Returns the user that a call names, in its query or as credentials.
fn named_user(request: &Request) -> Option<String> {
    let query = serde_urlencoded::from_str::<LinkQuery>(request.uri().query().unwrap_or_default());
    let in_query = query.ok().map(|query| query.username);
    in_query
        .filter(|name| !name.is_empty())
        .or_else(|| Some(user(request.headers())))
}

/// Returns the user named by `Authorization: Basic base64("user:")`; empty when none is named.
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
