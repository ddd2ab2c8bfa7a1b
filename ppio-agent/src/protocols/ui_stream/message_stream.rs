//! Converts the items of an answer to the chunks of a message.

use ppio_agent_protocol::{ChatEvent, FinishReason};
use serde_json::{Value, json};

use super::chat::{Chat, ContinuedMessage, ToolPart};
use super::chunk::{Chunk, DataChunk, MessageMetadata, Usage, finish_reason};
use super::restored::restore;
use super::tool_calls::ToolCalls;
use crate::exchange::failure::Failure;
use crate::exchange::json::line;
use crate::protocols::events::{EventWriter, Translator};
use crate::protocols::items::Item;
use crate::token_usage::TokenUsage;

/// Writes the chunks of one answer in the order that a page requires: a part is open while content
/// is added to it, and a call precedes its result.
pub(super) struct MessageStream {
    message_id: String,
    /// Whether the page reads the stream again, after it dropped the earlier parts.
    is_replay: bool,
    /// The number of text and reasoning parts so far.
    parts: u64,
    open: OpenPart,
    step: StepState,
    calls: ToolCalls,
    interrupts: Vec<PendingInterrupt>,
    usage: Option<TokenUsage>,
    finish_reason: Option<FinishReason>,
}

/// The part to which content is being added.
enum OpenPart {
    None,
    /// `before_delta` is the JSON of each of its chunks up to the text.
    Text {
        id: String,
        before_delta: String,
    },
    Reasoning {
        id: String,
    },
}

#[derive(PartialEq)]
enum StepState {
    None,
    Empty,
    Used,
}

struct PendingInterrupt {
    id: String,
    reason: String,
    message: Option<String>,
    tool_call_id: Option<String>,
    response_schema: Option<Value>,
}

impl MessageStream {
    pub(super) fn new(chat: Chat, request_id: &str, is_replay: bool) -> Self {
        let message_id = match &chat.continued {
            Some(message) => message.id.clone(),
            None => format!("msg-{request_id}"),
        };
        Self {
            message_id,
            is_replay,
            parts: 0,
            open: OpenPart::None,
            step: StepState::None,
            calls: ToolCalls::new(chat),
            interrupts: Vec::new(),
            usage: None,
            finish_reason: None,
        }
    }

    fn next_id(&mut self) -> String {
        self.parts += 1;
        format!("part-{}", self.parts)
    }

    /// Begins a step, if none is running.
    fn enter_step(&mut self, events: &mut EventWriter) {
        if self.step == StepState::None {
            events.json(&Chunk::StartStep);
        }
        self.step = StepState::Used;
    }

    fn leave_step(&mut self, events: &mut EventWriter) {
        self.close_part(events);
        if self.step != StepState::None {
            events.json(&Chunk::FinishStep);
            self.step = StepState::None;
        }
    }

    fn start_step(&mut self, name: &str, events: &mut EventWriter) {
        if self.step == StepState::Used {
            self.leave_step(events);
        }
        if self.step == StepState::None {
            events.json(&Chunk::StartStep);
            self.step = StepState::Empty;
        }
        // Steps have no names in this protocol.
        events.json(&DataChunk {
            chunk_type: "data-step",
            id: None,
            data: &json!({"name": name}),
            transient: true,
        });
    }

    /// Adds text; `json` is the JSON of a string.
    fn text(&mut self, json: &str, events: &mut EventWriter) {
        if json == "\"\"" {
            return;
        }
        if !matches!(self.open, OpenPart::Text { .. }) {
            self.close_part(events);
            self.enter_step(events);
            let id = self.next_id();
            events.json(&Chunk::TextStart { id: &id });
            let before_delta = format!(r#"{{"type":"text-delta","id":"{id}","delta":"#);
            self.open = OpenPart::Text { id, before_delta };
        }
        if let OpenPart::Text { before_delta, .. } = &self.open {
            events.parts(&[before_delta, json, "}"]);
        }
    }

    fn reasoning(&mut self, delta: &str, events: &mut EventWriter) {
        if delta.is_empty() {
            return;
        }
        if !matches!(self.open, OpenPart::Reasoning { .. }) {
            self.close_part(events);
            self.enter_step(events);
            let id = self.next_id();
            events.json(&Chunk::ReasoningStart { id: &id });
            self.open = OpenPart::Reasoning { id };
        }
        if let OpenPart::Reasoning { id } = &self.open {
            events.json(&Chunk::ReasoningDelta { id, delta });
        }
    }

    fn close_part(&mut self, events: &mut EventWriter) {
        match std::mem::replace(&mut self.open, OpenPart::None) {
            OpenPart::None => {}
            OpenPart::Text { id, .. } => events.json(&Chunk::TextEnd { id: &id }),
            OpenPart::Reasoning { id } => events.json(&Chunk::ReasoningEnd { id: &id }),
        }
    }

    fn start_call(&mut self, id: String, name: String, events: &mut EventWriter) {
        self.close_part(events);
        self.calls.end(&id, events);
        self.enter_step(events);
        self.calls.start(id, name, events);
    }

    /// Adds a call for which the agent sent no start.
    fn add_call(&mut self, id: &str, name: &str, input: &Value, events: &mut EventWriter) {
        self.close_part(events);
        self.enter_step(events);
        self.calls.add(id, name, input, events);
    }

    fn tool_result(&mut self, id: &str, result: &Value, is_error: bool, events: &mut EventWriter) {
        self.calls.end(id, events);
        if !self.calls.has(id) {
            self.add_call(id, "tool", &json!({}), events);
        }
        self.calls.answer(id, result, is_error, events);
    }

    fn data(&mut self, name: &str, id: Option<&str>, data: &Value, events: &mut EventWriter) {
        self.close_part(events);
        self.enter_step(events);
        events.json(&DataChunk {
            chunk_type: &format!("data-{name}"),
            id,
            data,
            transient: false,
        });
    }

    fn event(&mut self, event: ChatEvent, events: &mut EventWriter) {
        match event {
            ChatEvent::TextDelta { text } => self.text(&line(&text), events),
            ChatEvent::ReasoningDelta { text } => self.reasoning(&text, events),
            ChatEvent::ToolCallStart { id, name } => self.start_call(id, name, events),
            ChatEvent::ToolCallArguments { id, delta } => self.calls.arguments(&id, &delta, events),
            ChatEvent::ToolCallEnd { id } => self.calls.end(&id, events),
            ChatEvent::ToolResult {
                id,
                result,
                is_error,
            } => self.tool_result(&id, &result, is_error, events),
            ChatEvent::StateSnapshot { state } => {
                self.data("state", Some("state"), &state, events);
            }
            ChatEvent::StateDelta { patch } => {
                self.data("state-delta", None, &patch.into(), events);
            }
            ChatEvent::Data { name, data } => self.data(&name, None, &data, events),
            ChatEvent::StepStart { name } => self.start_step(&name, events),
            ChatEvent::StepEnd { .. } => self.leave_step(events),
            ChatEvent::Source { id, url, title } => {
                self.close_part(events);
                self.enter_step(events);
                events.json(&Chunk::SourceUrl {
                    source_id: &id,
                    url: &url,
                    title: title.as_deref(),
                });
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
            } => self.interrupts.push(PendingInterrupt {
                id,
                reason,
                message,
                tool_call_id,
                response_schema,
            }),
            ChatEvent::Finish { reason } => self.finish_reason = Some(reason),
            // An event of a later version of the protocol crate.
            other => self.data("chat-event", None, &json!(other), events),
        }
    }

    /// Closes the calls of the last answer that were denied, and the calls created for interrupts
    /// that were approved. The agent sends the results of its own approved calls.
    fn close_decided(&self, events: &mut EventWriter) {
        let decisions = self.calls.chat().continued.iter();
        for decision in decisions.flat_map(ContinuedMessage::decisions) {
            let tool_call_id = decision.tool.id;
            if decision.tool.state != "approval-responded" {
                continue;
            }
            if decision.is_denial() {
                events.json(&Chunk::ToolOutputDenied { tool_call_id });
            } else if decision.is_own_call {
                events.json(&Chunk::ToolOutputAvailable {
                    tool_call_id,
                    output: &decision.response.payload,
                    provider_executed: true,
                });
            }
        }
    }

    /// Requests the response to each interrupt from the page, as the approval of a call.
    fn request_approvals(&mut self, events: &mut EventWriter) {
        for interrupt in std::mem::take(&mut self.interrupts) {
            let message = interrupt.message.as_deref();
            let call = interrupt.tool_call_id;
            let call = call.filter(|id| self.calls.has(id)).unwrap_or_else(|| {
                let schema = interrupt.response_schema.as_ref();
                let (id, reason) = (&interrupt.id, &interrupt.reason);
                let input = ToolPart::input_of_interrupt(id, reason, message, schema);
                self.add_call(id, reason, &input, events);
                id.clone()
            });
            events.json(&Chunk::ToolApprovalRequest {
                approval_id: &interrupt.id,
                tool_call_id: &call,
                reason: message,
            });
        }
    }

    fn finish(&mut self, events: &mut EventWriter) {
        self.close_part(events);
        self.calls.end_all(events);
        self.request_approvals(events);
        self.leave_step(events);
        let reason = self.finish_reason.unwrap_or(if self.calls.wait() {
            FinishReason::ToolCalls
        } else {
            FinishReason::Stop
        });
        let usage = self.usage.map(|usage| Usage {
            input: usage.input_tokens,
            output: usage.output_tokens,
            total: usage.total(),
        });
        events.json(&Chunk::Finish {
            finish_reason: finish_reason(reason),
            message_metadata: usage.map(|usage| MessageMetadata { usage }),
        });
    }
}

impl Translator for MessageStream {
    fn begin(&mut self, events: &mut EventWriter) {
        events.json(&Chunk::Start {
            message_id: &self.message_id,
        });
        if let Some(message) = &self.calls.chat().continued
            && self.is_replay
        {
            restore(&message.parts, events);
        }
        self.close_decided(events);
        // The decisions and results of a continued message are in the step before this one.
        events.json(&Chunk::StartStep);
        self.step = StepState::Empty;
    }

    fn item(&mut self, item: Item<'_>, events: &mut EventWriter) {
        match item {
            Item::Text(json) => self.text(json, events),
            Item::Event(event) => self.event(event, events),
            Item::Data(json) => {
                self.close_part(events);
                self.enter_step(events);
                events.parts(&[r#"{"type":"data-value","data":"#, json, "}"]);
            }
        }
    }

    fn end(&mut self, failure: Option<Failure>, events: &mut EventWriter) {
        match &failure {
            None => self.finish(events),
            Some(failure) if failure.is_cancellation => {
                self.close_part(events);
                let reason = &failure.message;
                events.json(&Chunk::Abort { reason });
            }
            Some(failure) => events.json(&Chunk::of_failure(failure)),
        }
        events.parts(&["[DONE]"]);
    }
}
