//! The A2A 1.0 protocol over JSON-RPC.

use serde_json::{Map, Value, json};

use super::{AgentFailure, AnswerPart, AnswerReader, usage_error};
use crate::error::CliError;
use crate::invoke::new_session::unique;

/// Returns the request that sends a message and streams the result. `params` are its parameters. A
/// prompt becomes the message, and `taskId` and `contextId` next to the prompt become members of
/// the message.
pub(super) fn request(
    mut params: Map<String, Value>,
    prompt: Option<String>,
) -> Result<Map<String, Value>, CliError> {
    if let Some(prompt) = prompt {
        if params.contains_key("message") {
            let message = "the request has a `prompt` and a `message`; remove one of them";
            return Err(usage_error(message));
        }
        let mut message = json!({
            "messageId": unique(),
            "role": "ROLE_USER",
            "parts": [{"text": prompt}],
        });
        for name in ["taskId", "contextId"] {
            if let Some(id) = params.remove(name) {
                message[name] = id;
            }
        }
        params.insert("message".to_owned(), message);
    }
    Ok(Map::from_iter([
        ("jsonrpc".to_owned(), "2.0".into()),
        ("id".to_owned(), 1.into()),
        ("method".to_owned(), "SendStreamingMessage".into()),
        ("params".to_owned(), params.into()),
    ]))
}

/// Reads the events of a task.
#[derive(Debug, Default)]
pub(super) struct TaskReader {
    is_complete: bool,
}

impl TaskReader {
    fn read_status(
        &mut self,
        status: &Value,
        task_id: &Value,
        parts: &mut Vec<AnswerPart>,
    ) -> Result<(), AgentFailure> {
        let message = status["message"]["parts"].as_array();
        let message = message.map(Vec::as_slice).unwrap_or_default();
        let text: String = message
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect();
        let text = (!text.is_empty()).then_some(text);
        match status["state"].as_str().unwrap_or_default() {
            "TASK_STATE_COMPLETED" => self.is_complete = true,
            state @ ("TASK_STATE_INPUT_REQUIRED" | "TASK_STATE_AUTH_REQUIRED") => {
                self.is_complete = true;
                let reason = message
                    .iter()
                    .find_map(|part| part["data"]["reason"].as_str());
                let task = format!("of task {}", task_id.as_str().unwrap_or_default());
                let reason = reason.unwrap_or(state);
                parts.push(AnswerPart::interrupt(&task, reason, text.as_deref()));
            }
            state @ ("TASK_STATE_FAILED" | "TASK_STATE_REJECTED" | "TASK_STATE_CANCELED") => {
                let message = text.unwrap_or_else(|| format!("the task ended with {state}"));
                return Err(AgentFailure::new(message));
            }
            _ => {}
        }
        Ok(())
    }
}

impl AnswerReader for TaskReader {
    fn read(&mut self, event: &Value, parts: &mut Vec<AnswerPart>) -> Result<(), AgentFailure> {
        if let Some(error) = event.get("error") {
            return Err(AgentFailure::of_error(error));
        }
        let result = &event["result"];
        if let Some(message) = result.get("message") {
            self.is_complete = true;
            add_parts(message, parts);
        }
        if let Some(update) = result.get("artifactUpdate") {
            add_parts(&update["artifact"], parts);
        }
        if let Some(update) = result.get("statusUpdate") {
            self.read_status(&update["status"], &update["taskId"], parts)?;
        }
        if let Some(task) = result.get("task") {
            for artifact in task["artifacts"].as_array().into_iter().flatten() {
                add_parts(artifact, parts);
            }
            self.read_status(&task["status"], &task["id"], parts)?;
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}

/// Adds the parts of a message or an artifact.
fn add_parts(of: &Value, parts: &mut Vec<AnswerPart>) {
    for part in of["parts"].as_array().into_iter().flatten() {
        parts.push(match (part.get("text"), part.get("data")) {
            (Some(Value::String(text)), _) => AnswerPart::Text(text.clone()),
            (_, Some(data)) => AnswerPart::Value(data.clone()),
            // A file.
            _ => AnswerPart::Value(part.clone()),
        });
    }
}
