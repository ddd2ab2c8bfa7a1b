//! The JSON API of the page and of `agent traces`.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::log_record::LogRecord;
use super::snapshot::{LogFilter, Snapshot, TraceFilter};
use super::span::Nanos;
use super::trace::Trace;
use super::trace_view::{self, SpanView, TraceSummary};
use crate::dev::error_response::error_response;
use crate::log_level::LogLevel;

const DEFAULT_LIMIT: usize = 100;
/// The largest number of log records in an answer; the newest are returned.
const MAX_LOGS: usize = 10_000;

/// The data that a request reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ApiRoute {
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

impl ApiRoute {
    /// Returns the route of a path below `BASE_PATH`.
    pub(super) fn find(path: &str) -> Option<Self> {
        let (kind, id) = match path.split_once('/') {
            Some((kind, id)) => (kind, Some(id)),
            None => (path, None),
        };
        // An id may have any character; its slashes are encoded.
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

/// A trace as the API returns it.
#[derive(Debug, Serialize)]
struct TraceAnswer<'a> {
    #[serde(flatten)]
    summary: TraceSummary<'a>,
    spans: Vec<SpanView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<Vec<&'a LogRecord>>,
}

/// Answers a request for a route with a query.
pub(super) fn answer(route: &ApiRoute, query: &str, kept: &Snapshot) -> Response {
    let answered = match route {
        ApiRoute::Traces => parse(query).and_then(|query| traces(&query, kept)),
        ApiRoute::Trace(id) => parse::<NoQuery>(query).map(|_| trace(id, kept)),
        ApiRoute::Run(id) => parse::<NoQuery>(query).map(|_| run(id, kept)),
        ApiRoute::Logs => parse(query).and_then(|query| logs(&query, kept)),
    };
    answered
        .unwrap_or_else(|message| error_response(StatusCode::BAD_REQUEST, "BadRequest", &message))
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, String> {
    serde_urlencoded::from_str(query)
        .map_err(|error| format!("the query {query:?} is not valid: {error}"))
}

fn traces(query: &TracesQuery, kept: &Snapshot) -> Result<Response, String> {
    let filter = TraceFilter {
        run: query.run.as_deref(),
        session: query.session.as_deref(),
        error: query.error,
        since: time(query.since.as_deref())?,
    };
    let traces = kept.traces(&filter);
    let total = traces.len();
    let traces = traces
        .into_iter()
        .take(query.limit.unwrap_or(DEFAULT_LIMIT));
    let traces: Vec<_> = traces
        .map(|(id, trace)| TraceSummary::new(id, trace))
        .collect();
    Ok(json(&json!({ "traces": traces, "total": total })))
}

fn trace(id: &str, kept: &Snapshot) -> Response {
    let Some(trace) = kept.trace(id) else {
        let message = format!("there is no trace {id:?}; the oldest are dropped first");
        return error_response(StatusCode::NOT_FOUND, "TraceNotFound", &message);
    };
    let filter = LogFilter {
        trace: Some(id),
        ..LogFilter::default()
    };
    let mut found = with_spans(id, trace);
    found.logs = Some(newest(kept, &filter));
    json(&found)
}

/// Answers with the traces and the log of a run; both may still be empty.
fn run(id: &str, kept: &Snapshot) -> Response {
    #[derive(Serialize)]
    struct RunDetails<'a> {
        run_id: &'a str,
        traces: Vec<TraceAnswer<'a>>,
        logs: Vec<&'a LogRecord>,
    }

    let filter = TraceFilter {
        run: Some(id),
        ..TraceFilter::default()
    };
    let traces = kept.traces(&filter).into_iter();
    let filter = LogFilter {
        run: Some(id),
        ..LogFilter::default()
    };
    json(&RunDetails {
        run_id: id,
        traces: traces.map(|(id, trace)| with_spans(id, trace)).collect(),
        logs: newest(kept, &filter),
    })
}

fn logs(query: &LogsQuery, kept: &Snapshot) -> Result<Response, String> {
    #[derive(Serialize)]
    struct LogsAnswer<'a> {
        logs: Vec<&'a LogRecord>,
    }

    let filter = LogFilter {
        run: query.run.as_deref(),
        trace: query.trace.as_deref(),
        session: query.session.as_deref(),
        level: query.level,
        target: query.target.as_deref(),
        since: time(query.since.as_deref())?,
    };
    Ok(json(&LogsAnswer {
        logs: newest(kept, &filter),
    }))
}

fn with_spans<'a>(id: &'a str, trace: &'a Trace) -> TraceAnswer<'a> {
    TraceAnswer {
        summary: TraceSummary::new(id, trace),
        spans: trace_view::spans(trace),
        logs: None,
    }
}

fn newest<'a>(kept: &'a Snapshot, filter: &LogFilter<'_>) -> Vec<&'a LogRecord> {
    let mut records = kept.logs(filter);
    let first = records.len().saturating_sub(MAX_LOGS);
    records.drain(..first);
    records
}

/// Returns a successful answer.
fn json(found: &impl Serialize) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, axum::Json(found)).into_response()
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
