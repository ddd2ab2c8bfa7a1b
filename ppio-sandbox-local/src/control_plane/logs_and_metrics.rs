//! Logs and metrics of sandboxes.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::sandbox_views;
use super::sandboxes::find;
use crate::api::ApiError;
use crate::api::{Parameters, PathParameters};
use crate::clock::{from_unix_seconds, rfc3339, unix_millis};
use crate::sandbox::{SandboxLogLevel, SandboxLogLine};
use crate::shared::Shared;

const MAX_LINES: usize = 1000;

#[derive(Debug, Deserialize)]
pub(super) struct SandboxLogQuery {
    /// Unix time in milliseconds; the name `cursor` is accepted as well.
    #[serde(alias = "cursor")]
    start: Option<u64>,
    limit: Option<usize>,
    direction: Option<String>,
    level: Option<String>,
    search: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MetricQuery {
    /// Unix time in seconds.
    start: Option<u64>,
    end: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ManyQuery {
    #[serde(default)]
    sandbox_ids: String,
}

pub(super) async fn logs(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
    Parameters(query): Parameters<SandboxLogQuery>,
) -> Result<Json<Value>, ApiError> {
    let entries = query.select(find(&shared, &id)?.logs.snapshot())?;
    let lines: Vec<_> = entries
        .iter()
        .map(|entry| json!({"timestamp": rfc3339(entry.time), "line": entry.message}))
        .collect();
    let entries: Vec<_> = entries.iter().map(sandbox_views::log_entry).collect();
    Ok(Json(json!({"logs": lines, "logEntries": entries})))
}

pub(super) async fn logs_v2(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
    Parameters(query): Parameters<SandboxLogQuery>,
) -> Result<Json<Value>, ApiError> {
    let entries = query.select(find(&shared, &id)?.logs.snapshot())?;
    let entries: Vec<_> = entries.iter().map(sandbox_views::log_entry).collect();
    Ok(Json(json!({"logs": entries})))
}

impl SandboxLogQuery {
    fn select(&self, mut entries: Vec<SandboxLogLine>) -> Result<Vec<SandboxLogLine>, ApiError> {
        let backward = match self.direction.as_deref() {
            None | Some("forward") => false,
            Some("backward") => true,
            Some(other) => {
                return Err(ApiError::bad_request(format!(
                    "direction must be forward or backward, not {other:?}"
                )));
            }
        };
        if let Some(level) = &self.level {
            let least = SandboxLogLevel::parse(level).ok_or_else(|| {
                ApiError::bad_request(format!(
                    "level must be debug, info, warn or error, not {level:?}"
                ))
            })?;
            entries.retain(|entry| entry.level >= least);
        }
        if let Some(search) = &self.search {
            entries.retain(|entry| entry.message.contains(search));
        }
        if let Some(start) = self.start {
            entries.retain(|entry| {
                let millis = unix_millis(entry.time);
                if backward {
                    millis <= start
                } else {
                    millis >= start
                }
            });
        }
        if backward {
            entries.reverse();
        }
        entries.truncate(self.limit.unwrap_or(MAX_LINES).min(MAX_LINES));
        Ok(entries)
    }
}

pub(super) async fn metrics(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
    Parameters(query): Parameters<MetricQuery>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let sandbox = find(&shared, &id)?;
    sandbox.sample().await;
    let start = query.start.map_or(UNIX_EPOCH, from_unix_seconds);
    // `end` is in whole seconds; the range includes all of that second.
    let end = query.end.map_or_else(SystemTime::now, |end| {
        from_unix_seconds(end) + Duration::from_secs(1)
    });
    let samples = sandbox.metrics.between(start, end);
    Ok(Json(
        samples
            .into_iter()
            .map(|sample| sandbox_views::metric(&sandbox, sample))
            .collect(),
    ))
}

/// Returns a new sample of each sandbox that the query names.
pub(super) async fn many_metrics(
    State(shared): State<Arc<Shared>>,
    Parameters(query): Parameters<ManyQuery>,
) -> Result<Json<Value>, ApiError> {
    let mut sandboxes = serde_json::Map::new();
    for id in query.sandbox_ids.split(',').filter(|id| !id.is_empty()) {
        let sandbox = find(&shared, id)?;
        sandbox.sample().await;
        if let Some(sample) = sandbox.metrics.between(UNIX_EPOCH, SystemTime::now()).pop() {
            sandboxes.insert(sandbox.id.clone(), sandbox_views::metric(&sandbox, sample));
        }
    }
    Ok(Json(json!({"sandboxes": sandboxes})))
}
