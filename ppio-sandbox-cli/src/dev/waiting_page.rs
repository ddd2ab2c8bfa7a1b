//! What a browser sees while there is no agent.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};

use super::proxy::Trouble;

/// Where the page asks whether there is news.
pub(super) const NEWS_PATH: &str = "/_ppio/dev/news";
/// A page whose question got lost asks again.
pub(super) const NEWS_AT_LEAST_EVERY: Duration = Duration::from_secs(20);

const PAGE: &str = include_str!("waiting_page.html");

pub(super) fn preparing(number: u64) -> Response {
    page(number, "Building…", "")
}

pub(super) fn broken(number: u64, trouble: &Trouble) -> Response {
    page(number, &trouble.what, &trouble.output)
}

fn page(number: u64, title: &str, output: &str) -> Response {
    let page = PAGE
        .replace("{news}", &format!("{NEWS_PATH}?{number}"))
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
