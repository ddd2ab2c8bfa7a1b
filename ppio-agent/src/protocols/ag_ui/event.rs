//! The events of AG-UI. A member that has no value is omitted.

use std::borrow::Cow;

use ppio_agent_protocol::FinishReason;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::exchange::failure::Failure;
use crate::token_usage::TokenUsage;

/// The largest count that AG-UI allows, 2⁵³ − 1.
const MAX_COUNT: u64 = (1 << 53) - 1;

#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "SCREAMING_SNAKE_CASE",
    rename_all_fields = "camelCase"
)]
pub(super) enum Event<'a> {
    RunStarted {
        thread_id: &'a str,
        run_id: &'a str,
        protocol_version: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        parent_run_id: Option<&'a str>,
    },
    RunFinished {
        thread_id: &'a str,
        run_id: &'a str,
        outcome: RunFinishedOutcome<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<[ReportedUsage; 1]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<RunMetadata>,
    },
    RunError {
        message: &'a str,
        code: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<[ReportedUsage; 1]>,
    },
    StepStarted {
        step_name: &'a str,
    },
    StepFinished {
        step_name: &'a str,
    },
    TextMessageStart {
        message_id: &'a str,
        role: &'static str,
    },
    TextMessageEnd {
        message_id: &'a str,
    },
    ReasoningStart {
        message_id: &'a str,
    },
    ReasoningMessageStart {
        message_id: &'a str,
        role: &'static str,
    },
    ReasoningMessageContent {
        message_id: &'a str,
        delta: &'a str,
    },
    ReasoningMessageEnd {
        message_id: &'a str,
    },
    ReasoningEnd {
        message_id: &'a str,
    },
    ToolCallStart {
        tool_call_id: &'a str,
        tool_call_name: &'a str,
        parent_message_id: &'a str,
    },
    ToolCallArgs {
        tool_call_id: &'a str,
        delta: &'a str,
    },
    ToolCallEnd {
        tool_call_id: &'a str,
    },
    ToolCallResult {
        message_id: &'a str,
        tool_call_id: &'a str,
        content: Cow<'a, str>,
        role: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<ToolResultMetadata>,
    },
    StateSnapshot {
        snapshot: &'a Value,
    },
    StateDelta {
        delta: &'a [Value],
    },
    Custom {
        name: &'a str,
        value: &'a Value,
    },
}

/// How a run that did not fail ended.
#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
pub(super) enum RunFinishedOutcome<'a> {
    Success {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pending_tool_call_ids: Vec<&'a str>,
    },
    Interrupt {
        interrupts: &'a [Interrupt],
    },
    Cancelled,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Interrupt {
    pub(super) id: String,
    pub(super) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_call_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_schema: Option<Map<String, Value>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportedUsage {
    input_tokens: u64,
    output_tokens: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunMetadata {
    pub(super) finish_reason: FinishReason,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolResultMetadata {
    pub(super) is_error: bool,
}

impl<'a> Event<'a> {
    pub(super) fn of_failure(failure: &'a Failure, usage: Option<ReportedUsage>) -> Self {
        Self::RunError {
            message: &failure.message,
            code: &failure.error_type,
            usage: usage.map(|usage| [usage]),
        }
    }
}

impl ReportedUsage {
    pub(super) fn of(usage: TokenUsage) -> Self {
        Self {
            input_tokens: usage.input_tokens.min(MAX_COUNT),
            output_tokens: usage.output_tokens.min(MAX_COUNT),
        }
    }
}

/// Returns a JSON Schema as an object, since AG-UI has no boolean schemas; `None` if the schema
/// allows everything, or if the value is not a schema.
pub(super) fn schema_object(schema: Value) -> Option<Map<String, Value>> {
    match schema {
        Value::Object(schema) => Some(schema),
        Value::Bool(false) => Some(Map::from_iter([("not".to_owned(), Map::new().into())])),
        // `true` allows everything, as a missing schema does.
        _ => None,
    }
}
