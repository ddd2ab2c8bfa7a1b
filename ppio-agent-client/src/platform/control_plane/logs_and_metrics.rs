//! Calls of the control plane for logs and metrics of sandboxes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::client::ControlPlane;
use super::sandbox_calls::path;
use crate::error::Error;
use crate::platform::call::ServiceCall;
use crate::platform::error_response::Subject;
use crate::platform::json::null_is_empty;

/// Selects log entries. The default selects what the platform returns without parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// The time from which entries are returned, or up to which they are returned if
    /// [`backward`](Self::backward) is set, in milliseconds since the Unix epoch.
    pub start: Option<i64>,
    /// The maximum number of entries.
    pub limit: Option<u32>,
    /// Whether the newest entries come first, instead of the oldest.
    pub backward: bool,
    /// The lowest level: `debug`, `info`, `warn`, `error`.
    pub level: Option<String>,
    /// A text that the entries contain.
    pub search: Option<String>,
}

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct LogEntry {
    /// The time, RFC 3339.
    pub timestamp: String,
    /// The level.
    #[serde(default)]
    pub level: String,
    /// The text.
    #[serde(default)]
    pub message: String,
    /// Further fields.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub fields: BTreeMap<String, Value>,
}

/// The resources that a sandbox used at one time. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
#[non_exhaustive]
pub struct SandboxMetric {
    /// The time, RFC 3339.
    pub timestamp: String,
    /// The time in seconds since the Unix epoch.
    pub timestamp_unix: i64,
    /// The number of processors.
    pub cpu_count: u32,
    /// Processor use in percent; more than 100 with several processors.
    pub cpu_used_pct: f64,
    /// Memory in use.
    pub mem_used: u64,
    /// Total memory.
    pub mem_total: u64,
    /// Memory used as file cache.
    pub mem_cache: u64,
    /// Disk in use.
    pub disk_used: u64,
    /// Total disk.
    pub disk_total: u64,
}

#[derive(Deserialize)]
struct LogsResponse {
    #[serde(default, deserialize_with = "null_is_empty")]
    logs: Vec<LogEntry>,
}

#[derive(Deserialize)]
struct LegacyLogsResponse {
    #[serde(rename = "logEntries", default, deserialize_with = "null_is_empty")]
    entries: Vec<LogEntry>,
    /// The only field that the oldest platforms send.
    #[serde(default, deserialize_with = "null_is_empty")]
    logs: Vec<LegacyLine>,
}

#[derive(Deserialize)]
struct LegacyLine {
    #[serde(default)]
    timestamp: String,
    #[serde(default)]
    line: String,
}

impl From<LegacyLine> for LogEntry {
    fn from(line: LegacyLine) -> Self {
        Self {
            timestamp: line.timestamp,
            message: line.line,
            level: String::new(),
            fields: BTreeMap::new(),
        }
    }
}

impl ControlPlane {
    /// Returns the entries of a sandbox's log that `query` selects.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # use ppio_agent_client::platform::LogQuery;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// for entry in platform.sandbox_logs("sb_1", &LogQuery::default()).await? {
    ///     println!("{} {}", entry.timestamp, entry.message);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn sandbox_logs(
        &self,
        sandbox_id: &str,
        query: &LogQuery,
    ) -> Result<Vec<LogEntry>, Error> {
        let path = format!("/v2{}", path(sandbox_id, "/logs")?);
        let call = ServiceCall::get("get sandbox logs", path)
            .query_if("cursor", query.start)
            .query_if("limit", query.limit)
            .query_if("direction", query.backward.then_some("backward"))
            .query_if("level", query.level.as_deref())
            .query_if("search", query.search.as_deref())
            .about(Subject::Sandbox(sandbox_id.to_owned()));
        Ok(self.service.fetch::<LogsResponse>(call).await?.logs)
    }

    /// Returns the entries of a sandbox's log with the older call, which uses only `start` and
    /// `limit` of the query.
    ///
    /// # Errors
    /// Those of [`sandbox_logs`](Self::sandbox_logs).
    ///
    /// ```
    /// # use ppio_agent_client::platform::LogQuery;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// let log = platform.sandbox_logs_v1("sb_1", &LogQuery::default()).await?;
    /// # Ok(()) });
    /// ```
    pub async fn sandbox_logs_v1(
        &self,
        sandbox_id: &str,
        query: &LogQuery,
    ) -> Result<Vec<LogEntry>, Error> {
        let call = ServiceCall::get("get sandbox logs", path(sandbox_id, "/logs")?)
            .query_if("start", query.start)
            .query_if("limit", query.limit)
            .about(Subject::Sandbox(sandbox_id.to_owned()));
        let LegacyLogsResponse { entries, logs } = self.service.fetch(call).await?;
        if entries.is_empty() {
            return Ok(logs.into_iter().map(LogEntry::from).collect());
        }
        Ok(entries)
    }

    /// Returns the resources that a sandbox used between two times, in seconds since the Unix
    /// epoch; `None` is the oldest or newest time that the platform has.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// for metric in platform.sandbox_metrics("sb_1", None, None).await? {
    ///     println!("{} % of {} processors", metric.cpu_used_pct, metric.cpu_count);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn sandbox_metrics(
        &self,
        sandbox_id: &str,
        start: Option<i64>,
        end: Option<i64>,
    ) -> Result<Vec<SandboxMetric>, Error> {
        let call = ServiceCall::get("get sandbox metrics", path(sandbox_id, "/metrics")?)
            .query_if("start", start)
            .query_if("end", end)
            .about(Subject::Sandbox(sandbox_id.to_owned()));
        self.service.fetch(call).await
    }
}
