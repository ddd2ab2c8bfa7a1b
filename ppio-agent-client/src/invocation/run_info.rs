//! What an agent reports about its runs.

use ppio_agent_protocol::{InvocationResponse, RunStatus};
use serde::Deserialize;
use serde_json::Value;

/// A run and its current state.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct RunInfo {
    /// The run's id, which is the request id of the invocation.
    pub id: String,
    /// The run's status.
    pub status: RunStatus,
    /// When the run was started, as RFC 3339.
    #[serde(default)]
    pub started_at: Option<String>,
    /// When the run ended, as RFC 3339; `None` while it is running.
    #[serde(default)]
    pub ended_at: Option<String>,
    /// How many items the run has streamed.
    #[serde(default)]
    pub items: u64,
    /// The id of the session that the run belongs to.
    #[serde(default)]
    pub session_id: Option<String>,
    /// What happens to the run when its caller's connection ends: `cancel` or `continue`.
    #[serde(default)]
    pub on_disconnect: Option<String>,
    /// The answer of a run that is not a stream, once there is one. Missing from lists.
    #[serde(default)]
    pub response: Option<InvocationResponse<Value>>,
    /// Whether the answer was too large to be kept.
    #[serde(default)]
    pub response_dropped: bool,
}

/// The response to a list of runs.
#[derive(Debug, Deserialize)]
pub(super) struct RunList {
    pub(super) invocations: Vec<RunInfo>,
}
