//! The AG-UI protocol.

use serde_json::{Map, Value, json};

use super::tool_calls::OpenToolCalls;
use super::{AgentFailure, AnswerPart, AnswerReader, add_defaults, push_message};
use crate::error::CliError;
use crate::invoke::new_session::unique;

/// Adds the prompt as a message of the user, and the required members that the input of a run
/// lacks.
pub(super) fn complete(
    input: &mut Map<String, Value>,
    prompt: Option<String>,
) -> Result<(), CliError> {
    if let Some(prompt) = prompt {
        let message = json!({"id": unique(), "role": "user", "content": prompt});
        push_message(input, message)?;
    }
    let members = [
        ("threadId", unique().into()),
        ("runId", unique().into()),
        ("messages", json!([])),
        ("tools", json!([])),
        ("context", json!([])),
        ("state", json!({})),
        ("forwardedProps", json!({})),
    ];
    add_defaults(input, members);
    Ok(())
}

/// Reads the events of a run.
#[derive(Debug, Default)]
pub(super) struct AgUiReader {
    calls: OpenToolCalls,
    is_complete: bool,
}

impl AnswerReader for AgUiReader {
    fn read(&mut self, event: &Value, parts: &mut Vec<AnswerPart>) -> Result<(), AgentFailure> {
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        let call_id = text("toolCallId");
        match text("type") {
            "TEXT_MESSAGE_CONTENT" | "TEXT_MESSAGE_CHUNK" => {
                parts.push(AnswerPart::Text(text("delta").to_owned()));
            }
            "TEXT_MESSAGE_END" => parts.push(AnswerPart::EndOfText),
            "TOOL_CALL_START" => self.calls.start(call_id, text("toolCallName")),
            "TOOL_CALL_ARGS" => self.calls.add_arguments(call_id, text("delta")),
            "TOOL_CALL_END" => parts.extend(self.calls.end(call_id)),
            "TOOL_CALL_RESULT" => {
                let is_error = event["metadata"]["isError"] == true;
                parts.push(AnswerPart::tool_result(&event["content"], is_error));
            }
            "CUSTOM" if text("name") == "data" => {
                parts.push(AnswerPart::Value(event["value"].clone()));
            }
            "CUSTOM" => {
                let named = json!({text("name"): event["value"]});
                parts.push(AnswerPart::Value(named));
            }
            "RUN_FINISHED" => {
                self.is_complete = true;
                return read_end(event, parts);
            }
            "RUN_ERROR" => return Err(AgentFailure::of_error(event)),
            _ => {}
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}

fn read_end(finished: &Value, parts: &mut Vec<AnswerPart>) -> Result<(), AgentFailure> {
    if let Some(result) = finished.get("result").filter(|result| !result.is_null()) {
        parts.push(AnswerPart::of_value(result));
    }
    let outcome = &finished["outcome"];
    if outcome["type"] == "cancelled" {
        return Err(AgentFailure::new("the run was cancelled"));
    }
    for interrupt in outcome["interrupts"].as_array().into_iter().flatten() {
        let text = |name: &str| interrupt[name].as_str();
        let (id, reason) = (text("id").unwrap_or_default(), text("reason"));
        let reason = reason.unwrap_or_default();
        parts.push(AnswerPart::interrupt(id, reason, text("message")));
    }
    Ok(())
}
