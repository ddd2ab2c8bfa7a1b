//! Converts the items of an answer to the events of a run.

use std::borrow::Cow;

use ppio_agent_protocol::{ChatEvent, FinishReason};
use serde_json::{Value, json};

use super::PROTOCOL_VERSION;
use super::event::{
    Event, Interrupt, ReportedUsage, RunFinishedOutcome, RunMetadata, ToolResultMetadata,
    schema_object,
};
use super::input::RunAgentInput;
use super::json_patch::invalid_operation;
use crate::exchange::failure::Failure;
use crate::exchange::json::line;
use crate::protocols::events::{EventWriter, Translator};
use crate::protocols::items::Item;
use crate::token_usage::TokenUsage;

/// The events of one run. An open message or tool call is closed before an event that cannot be
/// within it.
pub(super) struct RunEvents {
    thread_id: String,
    run_id: String,
    parent_run_id: Option<String>,
    /// Whether the agent answers with a stream; otherwise the only value of the answer is the
    /// result of the run, unless the value is text.
    pub(super) is_stream: bool,
    /// The number of messages so far.
    messages: u64,
    open: OpenMessage,
    /// The id of the assistant's message that tool calls belong to, until the next tool result or
    /// reasoning.
    message_id: Option<String>,
    calls: Vec<OpenCall>,
    steps: Vec<String>,
    /// The JSON of the result.
    result: Option<String>,
    usage: Option<TokenUsage>,
    finish_reason: Option<FinishReason>,
    interrupts: Vec<Interrupt>,
    has_ended: bool,
}

/// The message whose text is being sent.
enum OpenMessage {
    None,
    /// `before_delta` is the JSON of each content event up to its text.
    Text {
        id: String,
        before_delta: String,
    },
    Reasoning {
        id: String,
    },
}

struct OpenCall {
    id: String,
    is_open: bool,
    is_answered: bool,
}

impl RunEvents {
    pub(super) fn new(input: &RunAgentInput) -> Self {
        Self {
            thread_id: input.thread_id.clone(),
            run_id: input.run_id.clone(),
            parent_run_id: input.parent_run_id.clone(),
            is_stream: true,
            messages: 0,
            open: OpenMessage::None,
            message_id: None,
            calls: Vec::new(),
            steps: Vec::new(),
            result: None,
            usage: None,
            finish_reason: None,
            interrupts: Vec::new(),
            has_ended: false,
        }
    }

    /// Returns the id of the next message; the ids are the same each time that the run is read.
    fn next_message_id(&mut self) -> String {
        self.messages += 1;
        format!("{}-{}", self.run_id, self.messages)
    }

    /// Adds text; `json` is the JSON of a string.
    fn text(&mut self, json: &str, events: &mut EventWriter) {
        if json == "\"\"" {
            return;
        }
        if !matches!(self.open, OpenMessage::Text { .. }) {
            self.close_message(events);
            let id = self.next_message_id();
            events.json(&Event::TextMessageStart {
                message_id: &id,
                role: "assistant",
            });
            self.message_id = Some(id.clone());
            self.open = OpenMessage::Text {
                before_delta: format!(
                    r#"{{"type":"TEXT_MESSAGE_CONTENT","messageId":{},"delta":"#,
                    line(&id)
                ),
                id,
            };
        }
        if let OpenMessage::Text { before_delta, .. } = &self.open {
            events.parts(&[before_delta, json, "}"]);
        }
    }

    fn reasoning(&mut self, delta: &str, events: &mut EventWriter) {
        if delta.is_empty() {
            return;
        }
        if !matches!(self.open, OpenMessage::Reasoning { .. }) {
            self.close_message(events);
            self.message_id = None;
            let id = self.next_message_id();
            events.json(&Event::ReasoningStart { message_id: &id });
            events.json(&Event::ReasoningMessageStart {
                message_id: &id,
                role: "reasoning",
            });
            self.open = OpenMessage::Reasoning { id };
        }
        if let OpenMessage::Reasoning { id } = &self.open {
            events.json(&Event::ReasoningMessageContent {
                message_id: id,
                delta,
            });
        }
    }

    fn close_message(&mut self, events: &mut EventWriter) {
        match std::mem::replace(&mut self.open, OpenMessage::None) {
            OpenMessage::None => {}
            OpenMessage::Text { id, .. } => events.json(&Event::TextMessageEnd { message_id: &id }),
            OpenMessage::Reasoning { id } => {
                events.json(&Event::ReasoningMessageEnd { message_id: &id });
                events.json(&Event::ReasoningEnd { message_id: &id });
            }
        }
    }

    fn call_mut(&mut self, id: &str) -> Option<&mut OpenCall> {
        self.calls.iter_mut().rfind(|call| call.id == id)
    }

    fn start_call(&mut self, id: String, name: &str, events: &mut EventWriter) {
        self.close_message(events);
        self.end_call(&id, events);
        let parent = match self.message_id.take() {
            Some(id) => id,
            None => self.next_message_id(),
        };
        events.json(&Event::ToolCallStart {
            tool_call_id: &id,
            tool_call_name: name,
            parent_message_id: &parent,
        });
        self.message_id = Some(parent);
        self.calls.retain(|call| call.id != id);
        self.calls.push(OpenCall {
            id,
            is_open: true,
            is_answered: false,
        });
    }

    fn end_call(&mut self, id: &str, events: &mut EventWriter) {
        if let Some(call) = self.call_mut(id)
            && std::mem::take(&mut call.is_open)
        {
            events.json(&Event::ToolCallEnd { tool_call_id: id });
        }
    }

    fn tool_result(&mut self, id: &str, result: &Value, is_error: bool, events: &mut EventWriter) {
        self.end_call(id, events);
        if let Some(call) = self.call_mut(id) {
            call.is_answered = true;
        }
        self.close_message(events);
        self.message_id = None;
        let message_id = self.next_message_id();
        events.json(&Event::ToolCallResult {
            message_id: &message_id,
            tool_call_id: id,
            content: match result {
                Value::String(text) => Cow::Borrowed(text),
                other => Cow::Owned(other.to_string()),
            },
            role: "tool",
            metadata: is_error.then_some(ToolResultMetadata { is_error }),
        });
    }

    fn end_step(&mut self, name: &str, events: &mut EventWriter) {
        if let Some(at) = self.steps.iter().rposition(|step| step == name) {
            self.steps.remove(at);
            events.json(&Event::StepFinished { step_name: name });
        }
    }

    fn state_delta(&mut self, patch: &[Value], events: &mut EventWriter) {
        let Some(invalid) = invalid_operation(patch) else {
            return events.json(&Event::StateDelta { delta: patch });
        };
        let failure = Failure {
            message: format!("the agent sent a state delta that is not a JSON Patch: {invalid}"),
            error_type: "InvalidStateDelta".to_owned(),
            status: 500,
            is_cancellation: false,
        };
        self.end(Some(failure), events);
    }

    fn event(&mut self, event: ChatEvent, events: &mut EventWriter) {
        match event {
            ChatEvent::TextDelta { text } => self.text(&line(&text), events),
            ChatEvent::ReasoningDelta { text } => self.reasoning(&text, events),
            ChatEvent::ToolCallStart { id, name } => self.start_call(id, &name, events),
            ChatEvent::ToolCallArguments { id, delta } => {
                if self.call_mut(&id).is_some_and(|call| call.is_open) && !delta.is_empty() {
                    events.json(&Event::ToolCallArgs {
                        tool_call_id: &id,
                        delta: &delta,
                    });
                }
            }
            ChatEvent::ToolCallEnd { id } => self.end_call(&id, events),
            ChatEvent::ToolResult {
                id,
                result,
                is_error,
            } => self.tool_result(&id, &result, is_error, events),
            ChatEvent::StateSnapshot { state } => {
                events.json(&Event::StateSnapshot { snapshot: &state });
            }
            ChatEvent::StateDelta { patch } => self.state_delta(&patch, events),
            ChatEvent::Data { name, data } => {
                let (name, value) = (name.as_str(), &data);
                events.json(&Event::Custom { name, value });
            }
            ChatEvent::StepStart { name } => {
                self.end_step(&name, events);
                events.json(&Event::StepStarted { step_name: &name });
                self.steps.push(name);
            }
            ChatEvent::StepEnd { name } => self.end_step(&name, events),
            ChatEvent::Source { id, url, title } => {
                let mut value = json!({"id": id, "url": url});
                if let Some(title) = title {
                    value["title"] = title.into();
                }
                let (name, value) = ("source", &value);
                events.json(&Event::Custom { name, value });
            }
            ChatEvent::Usage {
                input_tokens,
                output_tokens,
            } => TokenUsage::add_to(&mut self.usage, input_tokens, output_tokens),
            ChatEvent::Interrupt {
                id,
                reason,
                message,
                tool_call_id,
                response_schema,
            } => self.interrupts.push(Interrupt {
                id,
                reason,
                message,
                tool_call_id,
                response_schema: response_schema.and_then(schema_object),
            }),
            ChatEvent::Finish { reason } => self.finish_reason = Some(reason),
            // An event of a later version of the protocol crate.
            other => {
                let (name, value) = ("chat_event", &json!(other));
                events.json(&Event::Custom { name, value });
            }
        }
    }

    fn finish(&self, outcome: RunFinishedOutcome<'_>, events: &mut EventWriter) {
        let finished = line(&Event::RunFinished {
            thread_id: &self.thread_id,
            run_id: &self.run_id,
            outcome,
            usage: self.reported_usage().map(|usage| [usage]),
            metadata: self
                .finish_reason
                .map(|finish_reason| RunMetadata { finish_reason }),
        });
        match &self.result {
            None => events.parts(&[&finished]),
            Some(result) => {
                let open = finished.strip_suffix('}').unwrap_or_default();
                events.parts(&[open, r#","result":"#, result, "}"]);
            }
        }
    }

    fn reported_usage(&self) -> Option<ReportedUsage> {
        self.usage.map(ReportedUsage::of)
    }

    fn close_all(&mut self, events: &mut EventWriter) {
        self.close_message(events);
        for call in self.calls.iter_mut().filter(|call| call.is_open) {
            call.is_open = false;
            let tool_call_id = &call.id;
            events.json(&Event::ToolCallEnd { tool_call_id });
        }
        for step_name in self.steps.drain(..).rev() {
            let step_name = &step_name;
            events.json(&Event::StepFinished { step_name });
        }
    }
}

impl Translator for RunEvents {
    fn begin(&mut self, events: &mut EventWriter) {
        events.json(&Event::RunStarted {
            thread_id: &self.thread_id,
            run_id: &self.run_id,
            protocol_version: PROTOCOL_VERSION,
            parent_run_id: self.parent_run_id.as_deref(),
        });
    }

    fn item(&mut self, item: Item<'_>, events: &mut EventWriter) {
        match item {
            _ if self.has_ended => {}
            Item::Text(json) => self.text(json, events),
            Item::Event(event) => self.event(event, events),
            Item::Data(json) if self.is_stream => {
                events.parts(&[r#"{"type":"CUSTOM","name":"data","value":"#, json, "}"]);
            }
            Item::Data(json) => self.result = Some(json.to_owned()),
        }
    }

    fn end(&mut self, failure: Option<Failure>, events: &mut EventWriter) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        match &failure {
            Some(failure) if !failure.is_cancellation => {
                events.json(&Event::of_failure(failure, self.reported_usage()));
            }
            Some(_) => {
                self.close_all(events);
                self.finish(RunFinishedOutcome::Cancelled, events);
            }
            None => {
                self.close_all(events);
                let pending = self.calls.iter().filter(|call| !call.is_answered);
                let outcome = if self.interrupts.is_empty() {
                    RunFinishedOutcome::Success {
                        pending_tool_call_ids: pending.map(|call| call.id.as_str()).collect(),
                    }
                } else {
                    RunFinishedOutcome::Interrupt {
                        interrupts: &self.interrupts,
                    }
                };
                self.finish(outcome, events);
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.has_ended
    }
}
