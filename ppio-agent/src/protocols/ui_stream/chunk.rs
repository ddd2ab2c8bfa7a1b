//! The chunks of a UI message stream. A member that has no value is omitted.

use ppio_agent_protocol::FinishReason;
use serde::Serialize;
use serde_json::Value;

use crate::exchange::failure::Failure;

#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub(super) enum Chunk<'a> {
    Start {
        message_id: &'a str,
    },
    StartStep,
    FinishStep,
    TextStart {
        id: &'a str,
    },
    TextDelta {
        id: &'a str,
        delta: &'a str,
    },
    TextEnd {
        id: &'a str,
    },
    ReasoningStart {
        id: &'a str,
    },
    ReasoningDelta {
        id: &'a str,
        delta: &'a str,
    },
    ReasoningEnd {
        id: &'a str,
    },
    ToolInputStart {
        tool_call_id: &'a str,
        tool_name: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        dynamic: bool,
    },
    ToolInputDelta {
        tool_call_id: &'a str,
        input_text_delta: &'a str,
    },
    ToolInputAvailable {
        tool_call_id: &'a str,
        tool_name: &'a str,
        input: &'a Value,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        dynamic: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        provider_executed: bool,
    },
    ToolInputError {
        tool_call_id: &'a str,
        tool_name: &'a str,
        input: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        dynamic: bool,
        error_text: &'a str,
    },
    ToolApprovalRequest {
        approval_id: &'a str,
        tool_call_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    },
    ToolApprovalResponse {
        approval_id: &'a str,
        approved: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    },
    ToolOutputAvailable {
        tool_call_id: &'a str,
        output: &'a Value,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        provider_executed: bool,
    },
    ToolOutputError {
        tool_call_id: &'a str,
        error_text: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        provider_executed: bool,
    },
    ToolOutputDenied {
        tool_call_id: &'a str,
    },
    SourceUrl {
        source_id: &'a str,
        url: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    },
    Finish {
        finish_reason: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        message_metadata: Option<MessageMetadata>,
    },
    Abort {
        reason: &'a str,
    },
    Error {
        error_text: &'a str,
    },
}

/// Data for the page. The type of the chunk is `data-` and a name, such as one that the agent
/// chooses.
#[derive(Serialize)]
pub(super) struct DataChunk<'a> {
    #[serde(rename = "type")]
    pub(super) chunk_type: &'a str,
    /// The id of the part. A later part with the same type and id replaces this part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    pub(super) data: &'a Value,
    /// Whether the data is passed to the page without being part of the message.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) transient: bool,
}

#[derive(Serialize)]
pub(super) struct MessageMetadata {
    pub(super) usage: Usage,
}

/// Numbers of tokens.
#[derive(Serialize)]
pub(super) struct Usage {
    #[serde(rename = "inputTokens")]
    pub(super) input: u64,
    #[serde(rename = "outputTokens")]
    pub(super) output: u64,
    #[serde(rename = "totalTokens")]
    pub(super) total: u64,
}

impl<'a> Chunk<'a> {
    pub(super) fn of_failure(failure: &'a Failure) -> Self {
        Self::Error {
            error_text: &failure.message,
        }
    }
}

/// Returns the name of a finish reason in this protocol.
pub(super) fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool-calls",
        FinishReason::ContentFilter => "content-filter",
        _ => "other",
    }
}
