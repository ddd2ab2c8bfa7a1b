//! The daemon of a sandbox: files, processes and directories. Clients of E2B call it *envd*.

mod access;
mod connect;
mod entry;
mod file_metadata;
mod file_transfer;
mod file_write;
mod filesystem;
mod process;
mod process_selector;
mod process_stream;
mod watch;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use axum::routing::{get, post};

use crate::api::ApiError;

pub(crate) use access::SignedLink;

/// The port of the daemon in each sandbox.
pub(crate) const PORT: u16 = 49983;
/// The largest message of the process or filesystem service, in bytes.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// Returns the routes of the daemon. Each request must carry its sandbox as an extension.
pub(crate) fn router() -> Router {
    Router::new()
        .route(
            "/files",
            get(file_transfer::download)
                .post(file_transfer::upload)
                .layer(DefaultBodyLimit::disable()),
        )
        .route("/process.Process/{method}", post(process::call))
        .route("/filesystem.Filesystem/{method}", post(filesystem::call))
        .route_layer(middleware::from_fn(access::require_token))
        .route("/health", get(|| async { StatusCode::NO_CONTENT }))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_MESSAGE))
}

/// Whether a path is one of the daemon's.
pub(crate) fn serves(path: &str) -> bool {
    ["/health", "/files"].contains(&path)
        || path.starts_with("/process.Process/")
        || path.starts_with("/filesystem.Filesystem/")
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not take {method}", uri.path()),
    )
}

async fn unknown_route(method: Method, uri: Uri) -> ApiError {
    ApiError::not_found(format!(
        "the sandbox's daemon has no {method} {}",
        uri.path()
    ))
}
