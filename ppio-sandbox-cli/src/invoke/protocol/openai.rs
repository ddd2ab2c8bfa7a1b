//! OpenAI's chat completions.

use serde_json::{Map, Value, json};

use super::tool_calls::OpenToolCalls;
use super::{AgentFailure, AnswerPart, AnswerReader, add_defaults, push_message};
use crate::error::CliError;

/// Adds the prompt as a message of the user, and `model` and `stream` if the request lacks them.
pub(super) fn complete(
    request: &mut Map<String, Value>,
    prompt: Option<String>,
) -> Result<(), CliError> {
    if let Some(prompt) = prompt {
        push_message(request, json!({"role": "user", "content": prompt}))?;
    }
    add_defaults(
        request,
        [("model", "agent".into()), ("stream", true.into())],
    );
    Ok(())
}

/// Reads the chunks of a completion, or a whole one.
#[derive(Debug, Default)]
pub(super) struct CompletionReader {
    calls: OpenToolCalls,
    is_complete: bool,
}

impl CompletionReader {
    /// Reads the delta of a choice, or its message.
    fn read_delta(&mut self, delta: &Value, parts: &mut Vec<AnswerPart>) {
        for text in [&delta["content"], &delta["refusal"]] {
            if let Some(text) = text.as_str() {
                parts.push(AnswerPart::Text(text.to_owned()));
            }
        }
        let calls = delta["tool_calls"].as_array();
        for (position, call) in calls.into_iter().flatten().enumerate() {
            // A whole message has no indexes.
            let index = call["index"]
                .as_u64()
                .unwrap_or(position as u64)
                .to_string();
            let function = &call["function"];
            if let Some(name) = function["name"].as_str() {
                self.calls.start(&index, name);
            }
            if let Some(arguments) = function["arguments"].as_str() {
                self.calls.add_arguments(&index, arguments);
            }
        }
    }
}

impl AnswerReader for CompletionReader {
    fn read(&mut self, event: &Value, parts: &mut Vec<AnswerPart>) -> Result<(), AgentFailure> {
        if event == "[DONE]" {
            self.is_complete = true;
            return Ok(());
        }
        if let Some(error) = event.get("error") {
            return Err(AgentFailure::of_error(error));
        }
        for choice in event["choices"].as_array().into_iter().flatten() {
            let message = choice.get("message");
            if let Some(delta) = choice.get("delta").or(message) {
                self.read_delta(delta, parts);
            }
            if let Some(reason) = choice["finish_reason"].as_str() {
                parts.extend(self.calls.end_all());
                if matches!(reason, "length" | "content_filter") {
                    let text = format!("the answer is incomplete: {reason}");
                    parts.push(AnswerPart::note(&text));
                }
            }
            self.is_complete |= message.is_some();
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}
