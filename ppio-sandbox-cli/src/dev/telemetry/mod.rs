//! The traces and logs of the agent that `agent dev` runs, for its page and for `agent traces`.
//!
//! ```text
//! agent ──OTLP──▶ receiver ──▶ store ◀── log_lines ◀── output of the agent
//!                                └──▶ api ──▶ page, `agent traces`
//! ```
//!
//! `receiver` answers the exports of OpenTelemetry: `export_encoding` decodes them, unless
//! `decoded_size` finds that they take too much memory, and `otlp` converts them to a `span` or a
//! `log_record` each, with `shared_text`s. `store` keeps them, by `trace`, in bounded memory, until
//! this program ends, across restarts of the agent. `api` answers with a `snapshot` of them as
//! JSON, and `trace_view` puts the spans of a trace in order. `environment` makes the agent export
//! to this program.
//!
//! The paths begin with one that is reserved for this program, so that they hide no path of an
//! agent. Programs that are configured with only this program's address export to the paths of the
//! specification, which the receiver answers as well.

mod api;
mod decoded_size;
pub(super) mod environment;
mod export_encoding;
mod log_lines;
mod log_record;
mod otlp;
mod receiver;
mod shared_text;
mod snapshot;
mod span;
mod store;
mod trace;
mod trace_view;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use self::environment::OTLP_PATH;
use self::receiver::ExportKind;
use self::store::{SharedStore, StoreLimits};
use super::error_response::error_response;
use super::output_line::OutputLine;

/// The prefix of the paths of this program.
pub(crate) const BASE_PATH: &str = "/_ppio/dev/";
/// The header that marks responses of this program for the page.
pub(super) const DEV_HEADER: &str = "ppio-dev";

/// The data that the agent exported and logged.
#[derive(Debug)]
pub(super) struct DevTelemetry {
    store: SharedStore,
    /// One export is decoded at a time, so that many exports together do not use up the memory.
    decoding: Arc<Semaphore>,
}

impl DevTelemetry {
    pub(super) fn new() -> Arc<Self> {
        Self::with_limits(StoreLimits::default())
    }

    fn with_limits(limits: StoreLimits) -> Arc<Self> {
        Arc::new(Self {
            store: SharedStore::new(limits),
            decoding: Arc::new(Semaphore::new(1)),
        })
    }

    /// Stores a line of the agent's output if it is a log line.
    pub(super) fn log_line(&self, line: OutputLine<'_>) {
        if let Some(record) = log_lines::parse(line) {
            self.store.lock().add_log(record);
        }
    }

    /// Whether a request is for this program: below [`BASE_PATH`], or an export.
    pub(super) fn takes(request: &Request) -> bool {
        let path = request.uri().path();
        path.starts_with(BASE_PATH)
            || (request.method() == Method::POST && ExportKind::of_path(path).is_some())
    }

    /// Answers a request for which [`takes`](Self::takes) returns `true`.
    pub(super) async fn respond(self: Arc<Self>, request: Request) -> Response {
        let path = request.uri().path();
        let Some(kind) = ExportKind::of_path(path.strip_prefix(OTLP_PATH).unwrap_or(path)) else {
            let Some(route) = path.strip_prefix(BASE_PATH).and_then(api::ApiRoute::find) else {
                let message = format!("`agent dev` does not serve {path}");
                return error_response(StatusCode::NOT_FOUND, "NotFound", &message);
            };
            if request.method() != Method::GET {
                return not_allowed("GET");
            }
            let query = request.uri().query().unwrap_or_default().to_owned();
            return self.respond_api(route, query).await;
        };
        if request.method() != Method::POST {
            return not_allowed("POST");
        }
        let decoding = Arc::clone(&self.decoding);
        receiver::receive(request, kind, self.store.clone(), decoding).await
    }

    async fn respond_api(&self, route: api::ApiRoute, query: String) -> Response {
        let store = self.store.clone();
        // Writing the JSON of a large trace takes a while.
        let writing = move || api::answer(&route, &query, &store.snapshot());
        let answer = tokio::task::spawn_blocking(writing).await;
        answer.unwrap_or_else(|_| {
            let message = "the answer cannot be written";
            error_response(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
        })
    }
}

fn not_allowed(allowed: &'static str) -> Response {
    let message = format!("this path accepts only {allowed}");
    let body = error_response(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", &message);
    let allow = [(header::ALLOW, HeaderValue::from_static(allowed))];
    (allow, body).into_response()
}

#[cfg(test)]
mod tests;
