//! Responses to interrupts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The response to an [`Interrupt`](super::ChatEvent::Interrupt).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct InterruptResponse {
    /// The id of the interrupt.
    pub interrupt_id: String,
    /// What the person decided.
    #[serde(default)]
    pub status: InterruptStatus,
    /// The response, of the schema that the interrupt has.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub payload: Value,
    /// Fields that this version does not define.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl InterruptResponse {
    /// Creates a response with which the agent continues.
    pub fn resolved(interrupt_id: impl Into<String>, payload: impl Into<Value>) -> Self {
        Self {
            interrupt_id: interrupt_id.into(),
            status: InterruptStatus::Resolved,
            payload: payload.into(),
            extra: Map::new(),
        }
    }

    /// Creates a refusal to respond.
    pub fn cancelled(interrupt_id: impl Into<String>) -> Self {
        Self {
            interrupt_id: interrupt_id.into(),
            status: InterruptStatus::Cancelled,
            payload: Value::Null,
            extra: Map::new(),
        }
    }
}

/// What happened to an interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum InterruptStatus {
    /// There is a response.
    #[default]
    Resolved,
    /// There will be no response.
    Cancelled,
}
