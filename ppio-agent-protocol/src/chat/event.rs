//! The events that an agent sends in a chat.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The name that [`ChatEvent`] passes to serializers, by which the runtime recognizes it.
#[doc(hidden)]
pub const CHAT_EVENT_NAME: &str = "ppio::ChatEvent";

/// An item of a stream that is more than text: the reasoning of a model, which tools run, what the
/// state is, and how the answer ends.
///
/// Each protocol that an agent is called by turns these events into its own. A caller of
/// `POST /invocations` gets them as JSON objects with a `type`. An agent that only sends text needs
/// none of them: items that are strings are text as well.
///
/// ```
/// use ppio_agent_protocol::ChatEvent;
///
/// let event = ChatEvent::text("Hello");
/// assert_eq!(serde_json::to_string(&event)?, r#"{"type":"text_delta","text":"Hello"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename = "ppio::ChatEvent")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
// The description is not the text above, whose example is for Rust.
#[cfg_attr(
    feature = "schema",
    schemars(rename = "ChatEvent", description = "An event of a chat.")
)]
#[non_exhaustive]
pub enum ChatEvent {
    /// More of the answer's text.
    TextDelta {
        /// The text, which follows what was sent before.
        text: String,
    },
    /// More of the model's reasoning before its answer.
    ReasoningDelta {
        /// The text, which follows what was sent before.
        text: String,
    },
    /// A model begins to call a tool.
    ToolCallStart {
        /// The id of the call, unique in the chat.
        id: String,
        /// The name of the tool.
        name: String,
    },
    /// More of the arguments of a call.
    ToolCallArguments {
        /// The id of the call.
        id: String,
        /// A part of the JSON text of the arguments.
        delta: String,
    },
    /// The arguments of a call are complete.
    ToolCallEnd {
        /// The id of the call.
        id: String,
    },
    /// What a tool returned to the agent.
    ToolResult {
        /// The id of the call.
        id: String,
        /// The value that the tool returned, or the text of its error.
        result: Value,
        /// Whether the tool failed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
    /// The state that the agent shares with its caller.
    StateSnapshot {
        /// The whole state.
        state: Value,
    },
    /// Changes of the state that the agent shares with its caller.
    StateDelta {
        /// JSON Patch operations (RFC 6902).
        patch: Vec<Value>,
    },
    /// Data for the caller that is not part of the answer's text.
    Data {
        /// The kind of the data.
        name: String,
        /// The data.
        data: Value,
    },
    /// A step of the agent begins.
    StepStart {
        /// The name of the step.
        name: String,
    },
    /// A step of the agent has ended.
    StepEnd {
        /// The name of the step.
        name: String,
    },
    /// Something that the answer is based on.
    Source {
        /// The id of the source, unique in the answer.
        id: String,
        /// The address of the source.
        url: String,
        /// The title of the source.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
    },
    /// The tokens that a model took. The numbers of several such events are added.
    Usage {
        /// The tokens of the prompt.
        input_tokens: u64,
        /// The tokens of the answer, those of the reasoning included.
        output_tokens: u64,
    },
    /// The agent needs something from a person before it can go on; the answer ends here. The next
    /// request has the response in [`resume`](crate::InvocationRequest::resume).
    Interrupt {
        /// The id of the interrupt, unique in the chat.
        id: String,
        /// Why the agent stops, such as `approval`.
        reason: String,
        /// What to show to the person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// The tool call that waits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool_call_id: Option<String>,
        /// The JSON Schema of the response.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        response_schema: Option<Value>,
    },
    /// Why the model stopped. Without this event the answer ends with `stop`, or with `tool_calls`
    /// if tools of the caller were called.
    Finish {
        /// The reason.
        reason: FinishReason,
    },
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum FinishReason {
    /// The answer is complete.
    Stop,
    /// The largest number of tokens was reached.
    Length,
    /// The model called tools of the caller, and waits for their results.
    ToolCalls,
    /// A filter ended the answer.
    ContentFilter,
    /// Any other reason.
    #[serde(other)]
    Other,
}

impl ChatEvent {
    /// Creates a [`TextDelta`](Self::TextDelta) with more of the answer's text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::TextDelta { text: text.into() }
    }

    /// Creates a [`ReasoningDelta`](Self::ReasoningDelta) with more of the model's reasoning.
    pub fn reasoning(text: impl Into<String>) -> Self {
        Self::ReasoningDelta { text: text.into() }
    }

    /// Returns the events of a whole call of a tool: its start, its arguments and their end.
    pub fn tool_call(
        id: impl Into<String>,
        name: impl Into<String>,
        arguments: &Value,
    ) -> [Self; 3] {
        let id = id.into();
        [
            Self::ToolCallStart {
                id: id.clone(),
                name: name.into(),
            },
            Self::ToolCallArguments {
                id: id.clone(),
                delta: arguments.to_string(),
            },
            Self::ToolCallEnd { id },
        ]
    }

    /// Creates a [`ToolResult`](Self::ToolResult) with the value that a tool returned.
    pub fn tool_result(id: impl Into<String>, result: impl Into<Value>) -> Self {
        Self::ToolResult {
            id: id.into(),
            result: result.into(),
            is_error: false,
        }
    }

    /// Creates a [`ToolResult`](Self::ToolResult) with the error of a tool that failed.
    pub fn tool_error(id: impl Into<String>, message: impl Into<String>) -> Self {
        Self::ToolResult {
            id: id.into(),
            result: Value::String(message.into()),
            is_error: true,
        }
    }

    /// Creates [`Data`](Self::Data) with a name.
    pub fn data(name: impl Into<String>, data: impl Into<Value>) -> Self {
        Self::Data {
            name: name.into(),
            data: data.into(),
        }
    }

    /// Creates an interrupt that waits for a person's response. Set the other fields of
    /// [`Interrupt`](Self::Interrupt) if they are needed.
    pub fn interrupt(id: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Interrupt {
            id: id.into(),
            reason: reason.into(),
            message: None,
            tool_call_id: None,
            response_schema: None,
        }
    }
}

impl From<&str> for ChatEvent {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for ChatEvent {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_tagged_objects() {
        for (event, json) in [
            (
                ChatEvent::reasoning("hm"),
                json!({"type": "reasoning_delta", "text": "hm"}),
            ),
            (
                ChatEvent::tool_result("c1", json!({"t": 20})),
                json!({"type": "tool_result", "id": "c1", "result": {"t": 20}}),
            ),
            (
                ChatEvent::tool_error("c1", "no such city"),
                json!({
                    "type": "tool_result", "id": "c1", "result": "no such city", "is_error": true,
                }),
            ),
            (
                ChatEvent::interrupt("i1", "approval"),
                json!({"type": "interrupt", "id": "i1", "reason": "approval"}),
            ),
            (
                ChatEvent::Finish {
                    reason: FinishReason::ToolCalls,
                },
                json!({"type": "finish", "reason": "tool_calls"}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&event).unwrap(), json);
            assert_eq!(serde_json::from_value::<ChatEvent>(json).unwrap(), event);
        }
    }

    #[test]
    fn an_unknown_finish_reason_is_read_as_other() {
        let event = json!({"type": "finish", "reason": "weather"});
        let expected = ChatEvent::Finish {
            reason: FinishReason::Other,
        };
        assert_eq!(
            serde_json::from_value::<ChatEvent>(event).unwrap(),
            expected
        );
    }
}
