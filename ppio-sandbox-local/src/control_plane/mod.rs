//! The control plane: sandboxes, templates and builds over HTTP.

mod auth;
mod build_steps;
mod builds;
mod logs_and_metrics;
mod network;
mod sandbox_list;
mod sandbox_views;
mod sandboxes;
mod snapshots;
mod tags;
mod template_views;
mod templates;
mod unsupported;
mod uploads;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, patch, post, put};
use axum::{Json, Router};
use ppio_agent_protocol::headers::PPIO_IDEMPOTENCY;

use crate::api::ApiError;
use crate::shared::Shared;

/// The largest request body except that of an upload, in bytes. Most bodies are a few kilobytes; a
/// build with many steps needs somewhat more.
const MAX_BODY: usize = 4 * 1024 * 1024;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let authenticated = Router::new()
        .route(
            "/sandboxes",
            post(sandboxes::create).get(sandbox_list::running),
        )
        .route(
            "/v2/sandboxes",
            get(sandbox_list::all).post(sandboxes::create),
        )
        .route("/sandboxes/metrics", get(logs_and_metrics::many_metrics))
        .route(
            "/sandboxes/{id}",
            get(sandboxes::detail).delete(sandboxes::kill),
        )
        .route("/sandboxes/{id}/fork", post(snapshots::fork))
        .route("/sandboxes/{id}/snapshots", post(snapshots::create))
        .route("/snapshots", get(snapshots::list))
        .route("/sandboxes/{id}/timeout", post(sandboxes::set_timeout))
        .route("/sandboxes/{id}/refreshes", post(sandboxes::refresh))
        .route("/sandboxes/{id}/network", put(sandboxes::set_network))
        .route("/sandboxes/{id}/pause", post(sandboxes::pause))
        .route("/sandboxes/{id}/resume", post(sandboxes::resume))
        .route("/sandboxes/{id}/connect", post(sandboxes::connect))
        .route("/v2/sandboxes/{id}/connect", post(sandboxes::connect))
        .route("/sandboxes/{id}/logs", get(logs_and_metrics::logs))
        .route("/v2/sandboxes/{id}/logs", get(logs_and_metrics::logs_v2))
        .route("/sandboxes/{id}/metrics", get(logs_and_metrics::metrics))
        .route("/templates", get(templates::list))
        .route(
            "/templates/{id}",
            get(templates::detail)
                .delete(templates::delete)
                .patch(templates::update),
        )
        .route("/v2/templates", get(templates::pages))
        .route("/v2/templates/{id}", patch(templates::update))
        .route("/templates/aliases/{alias}", get(templates::by_alias))
        .route("/v3/templates", post(builds::request))
        .route("/templates/{id}/files/{hash}", get(uploads::link))
        .route("/v2/templates/{id}/builds/{build}", post(builds::start))
        .route("/templates/{id}/builds/{build}/status", get(builds::status))
        .route("/templates/{id}/builds/{build}/logs", get(builds::logs))
        .route("/templates/tags", post(tags::assign).delete(tags::remove))
        .route("/templates/{id}/tags", get(tags::list))
        .merge(unsupported::routes())
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&shared),
            auth::require_key,
        ));
    Router::new()
        .merge(authenticated)
        // The link itself authorises the upload: some clients upload without the API key.
        .route(
            "/uploads/{token}",
            put(uploads::store).layer(DefaultBodyLimit::disable()),
        )
        .route("/health", get(health))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::map_response(announce_keys))
        .with_state(shared)
}

/// Adds the header that announces support for idempotency keys to every response.
async fn announce_keys(mut response: Response) -> Response {
    response
        .headers_mut()
        .entry(HeaderName::from_static(PPIO_IDEMPOTENCY))
        .or_insert(HeaderValue::from_static("supported"));
    response
}

async fn health() -> Json<serde_json::Value> {
    Json(serde_json::json!({"status": "ok", "service": "ppio-sandbox-local"}))
}

async fn unknown_route(method: Method, uri: Uri) -> ApiError {
    ApiError::not_found(format!("there is no {method} {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not take {method}", uri.path()),
    )
}
