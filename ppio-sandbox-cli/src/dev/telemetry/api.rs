//! The JSON API of the page and of `agent traces`.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::span::Nanos;
use super::store::{LogFilter, Store, Trace, TraceFilter};
use super::trace_view::{self, TraceSummary};
use crate::dev::error_response::error_response;
use crate::log_level::LogLevel;

const DEFAULT_LIMIT: usize = 100;
/// The newest log records of an answer.
const MAX_LOGS: usize = 10_000;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    Traces,
    /// One trace, by its id.
    Trace(String),
    /// The traces and the log of one run, by its id.
    Run(String),
    Logs,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TracesQuery {
    run: Option<String>,
    session: Option<String>,
    error: Option<bool>,
    since: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogsQuery {
    run: Option<String>,
    trace: Option<String>,
    session: Option<String>,
    level: Option<LogLevel>,
    target: Option<String>,
    since: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoQuery {}

impl Route {
    /// The route of a path without its beginning.
    pub(super) fn find(path: &str) -> Option<Self> {
        let (kind, id) = match path.split_once('/') {
            Some((kind, id)) => (kind, Some(id)),
            None => (path, None),
        };
        // An id may have any character, its slashes are encoded.
        let id = match id {
            Some(id) if id.is_empty() || id.contains('/') => return None,
            Some(id) => Some(percent_decode_str(id).decode_utf8().ok()?.into_owned()),
            None => None,
        };
        match (kind, id) {
            ("traces", None) => Some(Self::Traces),
            ("traces", Some(id)) => Some(Self::Trace(id)),
            ("runs", Some(id)) => Some(Self::Run(id)),
            ("logs", None) => Some(Self::Logs),
            _ => None,
        }
    }
}

/// Answers a request for a route with a query.
pub(super) fn answer(route: &Route, query: &str, store: &Store) -> Response {
    let found = match route {
        Route::Traces => parse(query).and_then(|query| traces(&query, store)),
        Route::Trace(id) => match parse::<NoQuery>(query).map(|_| trace(id, store)) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => {
                let message = format!("there is no trace {id:?}; the oldest are dropped first");
                return error_response(StatusCode::NOT_FOUND, "TraceNotFound", &message);
            }
            Err(message) => Err(message),
        },
        Route::Run(id) => parse::<NoQuery>(query).map(|_| run(id, store)),
        Route::Logs => parse(query).and_then(|query| logs(&query, store)),
    };
    match found {
        Ok(found) => {
            let headers = [
                (header::CACHE_CONTROL, "no-store"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, axum::Json(found)).into_response()
        }
        Err(message) => error_response(StatusCode::BAD_REQUEST, "BadRequest", &message),
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, String> {
    serde_urlencoded::from_str(query)
        .map_err(|error| format!("the query {query:?} is not valid: {error}"))
}

fn traces(query: &TracesQuery, store: &Store) -> Result<Value, String> {
    let filter = TraceFilter {
        run: query.run.as_deref(),
        session: query.session.as_deref(),
        error: query.error,
        since: time(query.since.as_deref())?,
    };
    let traces = store.traces(&filter);
    let total = traces.len();
    let traces = traces
        .into_iter()
        .take(query.limit.unwrap_or(DEFAULT_LIMIT));
    let traces: Vec<_> = traces
        .map(|(id, trace)| TraceSummary::new(id, trace))
        .collect();
    Ok(json!({ "traces": traces, "total": total }))
}

fn trace(id: &str, store: &Store) -> Option<Value> {
    let trace = store.trace(id)?;
    let filter = LogFilter {
        trace: Some(id),
        ..LogFilter::default()
    };
    let mut found = with_spans(id, trace);
    found["logs"] = newest(store, &filter);
    Some(found)
}

/// What is known of a run, which may be nothing yet.
fn run(id: &str, store: &Store) -> Value {
    let filter = TraceFilter {
        run: Some(id),
        ..TraceFilter::default()
    };
    let traces = store.traces(&filter).into_iter();
    let traces: Vec<_> = traces.map(|(id, trace)| with_spans(id, trace)).collect();
    let filter = LogFilter {
        run: Some(id),
        ..LogFilter::default()
    };
    json!({ "run_id": id, "traces": traces, "logs": newest(store, &filter) })
}

fn logs(query: &LogsQuery, store: &Store) -> Result<Value, String> {
    let filter = LogFilter {
        run: query.run.as_deref(),
        trace: query.trace.as_deref(),
        session: query.session.as_deref(),
        level: query.level,
        target: query.target.as_deref(),
        since: time(query.since.as_deref())?,
    };
    Ok(json!({ "logs": newest(store, &filter) }))
}

fn with_spans(id: &str, trace: &Trace) -> Value {
    let mut found = json!(TraceSummary::new(id, trace));
    found["spans"] = json!(trace_view::spans(trace));
    found
}

fn newest(store: &Store, filter: &LogFilter<'_>) -> Value {
    let records = store.logs(filter);
    let first = records.len().saturating_sub(MAX_LOGS);
    json!(records[first..])
}

fn time(text: Option<&str>) -> Result<Option<Nanos>, String> {
    let Some(text) = text else {
        return Ok(None);
    };
    match humantime::parse_rfc3339_weak(text) {
        Ok(time) => Ok(Some(Nanos::of(time))),
        Err(_) => Err(format!(
            "`since` is {text:?}; write it as in 2026-11-26T10:00:00Z"
        )),
    }
}
