//! The page that a browser gets while there is no agent.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};

/// The path that is answered when the page has to reload.
pub(super) const STATUS_CHANGED_PATH: &str = "/_ppio/dev/status-changed";
/// The time after which [`STATUS_CHANGED_PATH`] is answered in any case, so that a lost connection
/// is detected.
pub(super) const STATUS_TIMEOUT: Duration = Duration::from_secs(20);

const PAGE: &str = include_str!("waiting_page.html");

pub(super) fn preparing(phase: u64) -> Response {
    page(phase, "Building…", "")
}

pub(super) fn broken(phase: u64, message: &str, output: &str) -> Response {
    page(phase, message, output)
}

fn page(phase: u64, title: &str, output: &str) -> Response {
    let page = PAGE
        .replace(
            "{status_changed}",
            &format!("{STATUS_CHANGED_PATH}?{phase}"),
        )
        .replace("{title}", &escape(title))
        .replace("{output}", &escape(output));
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::CACHE_CONTROL, "no-store")],
        Html(page),
    )
        .into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
