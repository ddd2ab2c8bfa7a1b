//! Uploads of the files that COPY steps refer to.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::uri::{Authority, Scheme};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use hyper::ext::ReasonPhrase;
use serde_json::{Value, json};

use super::templates::find;
use crate::api::ApiError;
use crate::api::PathParameters;
use crate::error::with_sources;
use crate::shared::Shared;
use crate::template::{UploadError, archive_path, is_hash};

pub(super) async fn link(
    State(shared): State<Arc<Shared>>,
    PathParameters((id, hash)): PathParameters<(String, String)>,
    Extension(scheme): Extension<Scheme>,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    if !is_hash(&hash) {
        return Err(ApiError::bad_request(
            "a file hash must be 1 to 128 letters, digits, `-` and `_`",
        ));
    }
    let directory = shared.templates.path(&find(&shared, &id)?.id);
    let mut answer = json!({"present": archive_path(&directory, &hash).is_file()});
    if answer["present"] == false {
        let origin = origin(&headers, &scheme, shared.address);
        let link = shared.uploads.link(&directory, &hash);
        answer["url"] = json!(format!("{origin}/uploads/{link}"));
    }
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Returns the origin under which the caller reaches the platform, even through a tunnel or a
/// proxy.
fn origin(headers: &HeaderMap, scheme: &Scheme, address: SocketAddr) -> String {
    let header = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        // Every proxy appends a value; the first value is the one that the caller used.
        value.split(',').next().map(str::trim)
    };
    let scheme = header("x-forwarded-proto")
        .filter(|scheme| ["http", "https"].contains(scheme))
        .unwrap_or(scheme.as_str());
    let host = header("x-forwarded-host")
        .filter(|host| host.parse::<Authority>().is_ok())
        .or_else(|| header("host"));
    match host {
        Some(host) => format!("{scheme}://{host}"),
        None => format!("{scheme}://{address}"),
    }
}

pub(super) async fn store(
    State(shared): State<Arc<Shared>>,
    PathParameters(token): PathParameters<String>,
    body: Body,
) -> Result<StatusCode, Response> {
    shared
        .uploads
        .store(&token, body)
        .await
        .map(|()| StatusCode::OK)
        .map_err(|error| {
            let status = match &error {
                UploadError::NoLink => StatusCode::FORBIDDEN,
                UploadError::NoTemplate => StatusCode::NOT_FOUND,
                UploadError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                UploadError::Archive(error) if error.is_too_large() => {
                    StatusCode::PAYLOAD_TOO_LARGE
                }
                UploadError::Archive(error) if error.is_of_archive() => StatusCode::BAD_REQUEST,
                UploadError::BrokeOff(_) => StatusCode::BAD_REQUEST,
                UploadError::Io(_) | UploadError::Archive(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            with_reason(ApiError::new(status, with_sources(&error)))
        })
}

/// Returns a response whose status line also contains the message: when an upload fails, SDKs show
/// the status line, not the body.
fn with_reason(error: ApiError) -> Response {
    let line = error
        .message
        .replace(|character: char| character.is_control(), " ");
    let reason = ReasonPhrase::try_from(line.into_bytes());
    let mut response = error.into_response();
    if let Ok(reason) = reason {
        response.extensions_mut().insert(reason);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_have_the_origin_of_the_caller() {
        let address = "127.0.0.1:3000".parse().unwrap();
        for (headers, scheme, expected) in [
            (&[][..], Scheme::HTTP, "http://127.0.0.1:3000"),
            (
                &[("host", "localhost:3000")],
                Scheme::HTTP,
                "http://localhost:3000",
            ),
            (
                &[("host", "api.localhost")],
                Scheme::HTTPS,
                "https://api.localhost",
            ),
            (
                &[("host", "a.example"), ("x-forwarded-proto", "https")],
                Scheme::HTTP,
                "https://a.example",
            ),
            (
                &[
                    ("host", "127.0.0.1:3000"),
                    ("x-forwarded-host", "a.example, b.internal"),
                    ("x-forwarded-proto", "https, http"),
                ],
                Scheme::HTTP,
                "https://a.example",
            ),
            (
                &[("host", "a.example"), ("x-forwarded-proto", "http")],
                Scheme::HTTPS,
                "http://a.example",
            ),
            (
                &[
                    ("host", "a.example"),
                    ("x-forwarded-proto", "gopher"),
                    ("x-forwarded-host", "b c"),
                ],
                Scheme::HTTP,
                "http://a.example",
            ),
        ] {
            let map = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect();
            assert_eq!(origin(&map, &scheme, address), expected, "{headers:?}");
        }
    }
}
