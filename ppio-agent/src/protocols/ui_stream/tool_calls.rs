//! The tool calls in a message.

use serde_json::{Value, json};

use super::chat::Chat;
use super::chunk::Chunk;
use crate::protocols::events::EventWriter;

/// The calls of one answer, and the state of each call.
pub(super) struct ToolCalls {
    chat: Chat,
    calls: Vec<StreamedCall>,
}

struct StreamedCall {
    id: String,
    name: String,
    /// The arguments so far, until they are complete.
    arguments: Option<String>,
    is_answered: bool,
}

impl ToolCalls {
    pub(super) fn new(chat: Chat) -> Self {
        let calls = Vec::new();
        Self { chat, calls }
    }

    pub(super) fn chat(&self) -> &Chat {
        &self.chat
    }

    /// Whether a call is a part of the message.
    pub(super) fn has(&self, id: &str) -> bool {
        let continued = self.chat.continued.as_ref();
        self.calls.iter().any(|call| call.id == id)
            || continued.is_some_and(|message| message.has_call(id))
    }

    /// Whether a call of the answer has no result yet.
    pub(super) fn wait(&self) -> bool {
        self.calls.iter().any(|call| !call.is_answered)
    }

    /// Whether the tool is not a tool of the page.
    fn is_dynamic(&self, name: &str) -> bool {
        !self.chat.tools.iter().any(|tool| tool == name)
    }

    fn call_mut(&mut self, id: &str) -> Option<&mut StreamedCall> {
        self.calls.iter_mut().rfind(|call| call.id == id)
    }

    pub(super) fn start(&mut self, id: String, name: String, events: &mut EventWriter) {
        events.json(&Chunk::ToolInputStart {
            tool_call_id: &id,
            tool_name: &name,
            dynamic: self.is_dynamic(&name),
        });
        self.calls.retain(|call| call.id != id);
        self.calls.push(StreamedCall {
            id,
            name,
            arguments: Some(String::new()),
            is_answered: false,
        });
    }

    pub(super) fn arguments(&mut self, id: &str, delta: &str, events: &mut EventWriter) {
        let call = self.call_mut(id);
        let Some(arguments) = call.and_then(|call| call.arguments.as_mut()) else {
            return;
        };
        arguments.push_str(delta);
        events.json(&Chunk::ToolInputDelta {
            tool_call_id: id,
            input_text_delta: delta,
        });
    }

    /// Ends the arguments of a call, if they have not ended.
    pub(super) fn end(&mut self, id: &str, events: &mut EventWriter) {
        let Some(at) = self.calls.iter().rposition(|call| call.id == id) else {
            return;
        };
        let Some(arguments) = self.calls[at].arguments.take() else {
            return;
        };
        let name = self.calls[at].name.as_str();
        let dynamic = self.is_dynamic(name);
        let input = match arguments.trim_ascii() {
            "" => Ok(json!({})),
            text => serde_json::from_str(text),
        };
        match input {
            Ok(input) => events.json(&Chunk::ToolInputAvailable {
                tool_call_id: id,
                tool_name: name,
                input: &input,
                dynamic,
                provider_executed: false,
            }),
            Err(error) => {
                events.json(&Chunk::ToolInputError {
                    tool_call_id: id,
                    tool_name: name,
                    input: &arguments,
                    dynamic,
                    error_text: &format!("the arguments are not JSON: {error}"),
                });
                // The page cannot run this call.
                self.calls[at].is_answered = true;
            }
        }
    }

    /// Ends the arguments of all calls.
    pub(super) fn end_all(&mut self, events: &mut EventWriter) {
        let open = self.calls.iter().filter(|call| call.arguments.is_some());
        let open: Vec<String> = open.map(|call| call.id.clone()).collect();
        for id in open {
            self.end(&id, events);
        }
    }

    /// Adds a call for which the agent sent no start.
    pub(super) fn add(&mut self, id: &str, name: &str, input: &Value, events: &mut EventWriter) {
        events.json(&Chunk::ToolInputAvailable {
            tool_call_id: id,
            tool_name: name,
            input,
            dynamic: true,
            provider_executed: false,
        });
        self.calls.push(StreamedCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: None,
            is_answered: false,
        });
    }

    /// Adds the result that a tool returned to the agent.
    pub(super) fn answer(
        &mut self,
        id: &str,
        result: &Value,
        is_error: bool,
        events: &mut EventWriter,
    ) {
        if let Some(call) = self.call_mut(id) {
            call.is_answered = true;
        }
        let (tool_call_id, provider_executed) = (id, true);
        if is_error {
            let text = match result {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            events.json(&Chunk::ToolOutputError {
                tool_call_id,
                error_text: &text,
                provider_executed,
            });
        } else {
            events.json(&Chunk::ToolOutputAvailable {
                tool_call_id,
                output: result,
                provider_executed,
            });
        }
    }
}
