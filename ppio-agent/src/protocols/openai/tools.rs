//! The tools of a request, which its caller runs.

use ppio_agent_protocol::ChatTool;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::unsupported;
use crate::exchange::error::Error;

/// A function that the caller runs.
#[derive(Deserialize)]
pub(super) struct FunctionTool {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl From<FunctionTool> for ChatTool {
    fn from(function: FunctionTool) -> Self {
        let mut tool = Self::new(function.name);
        tool.description = function.description;
        tool.parameters = function.parameters;
        tool.extra = function.extra;
        tool.extra.remove("type");
        tool
    }
}

/// Returns the error for a tool that the caller does not run.
pub(super) fn other_tool(kind: &str, place: usize) -> Error {
    let kind: String = kind.chars().take(64).collect();
    unsupported(format!(
        "`tools[{place}]` is of type {kind:?}; the agent has no such tool, so send only tools of \
         type `function`"
    ))
}

/// The names of the caller's tools. Calls of other tools are the agent's own, and are not sent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct CallerTools(Vec<String>);

impl CallerTools {
    pub(super) fn of(tools: &[ChatTool]) -> Self {
        Self(tools.iter().map(|tool| tool.name.clone()).collect())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|tool| tool == name)
    }
}
