//! Tools that a model may call.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A tool of the caller, which the agent's model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ChatTool {
    /// The name of the tool.
    pub name: String,
    /// What the tool does, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema of the tool's arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Fields that this version does not define.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl ChatTool {
    /// Creates a tool without a description and parameters.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: None,
            parameters: None,
            extra: Map::new(),
        }
    }
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ToolCall {
    /// The id of the call, which its result refers to.
    pub id: String,
    /// The name of the tool.
    pub name: String,
    /// The arguments, as the JSON text that the model wrote.
    #[serde(default)]
    pub arguments: String,
    /// Fields that this version does not define.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl ToolCall {
    /// Creates a call with its arguments as JSON text.
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        arguments: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
            extra: Map::new(),
        }
    }
}
