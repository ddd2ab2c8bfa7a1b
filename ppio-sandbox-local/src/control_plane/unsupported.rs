//! Routes of the cloud that the local platform does not support, answered with status 501.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;

use crate::api::ApiError;
use crate::shared::Shared;

pub(super) fn not_supported(what: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_IMPLEMENTED,
        format!(
            "the local platform does not support {what}: use the cloud, or a self-hosted cluster, \
             for it"
        ),
    )
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    const ROUTES: &[(&str, &str)] = &[
        ("/sandboxes/{id}/clone", "cloning sandboxes"),
        ("/sandboxes/{id}/reset", "resetting sandboxes"),
        (
            "/sandboxes/{id}/commit",
            "making a template of a sandbox (commit)",
        ),
        ("/sandboxes/{id}/events", "events of sandboxes"),
        ("/sandboxes/events", "events of sandboxes"),
        ("/events", "events and webhooks"),
        ("/events/{*rest}", "events and webhooks"),
        ("/webhooks", "events and webhooks"),
        ("/webhooks/{*rest}", "events and webhooks"),
        ("/quota", "quotas"),
        ("/quotas", "quotas"),
        ("/teams/{*rest}", "teams, their metrics and quotas"),
        ("/templates/{id}/publish", "publishing templates"),
        ("/templates/{id}/unpublish", "publishing templates"),
        ("/mcp-gateway", "the MCP gateway"),
        ("/mcp-gateway/{*rest}", "the MCP gateway"),
        ("/api-keys", "API keys other than its own"),
        ("/api-keys/{*rest}", "API keys other than its own"),
        ("/access-tokens", "access tokens other than its own"),
        ("/access-tokens/{*rest}", "access tokens other than its own"),
        ("/nodes", "nodes"),
        ("/nodes/{*rest}", "nodes"),
        ("/admin/{*rest}", "administration of a cluster"),
        (
            "/sandboxes/{id}/hotplug-memory",
            "adding memory to a running sandbox",
        ),
        ("/sandboxes/{id}/volume-mounts", "mounting volumes"),
        ("/volumes", "volumes"),
        ("/volumes/{*rest}", "volumes"),
        ("/secrets", "stored secrets"),
        ("/secrets/{*rest}", "stored secrets"),
    ];
    ROUTES.iter().fold(Router::new(), |router, (path, what)| {
        router.route(path, any(move || async move { not_supported(what) }))
    })
}
