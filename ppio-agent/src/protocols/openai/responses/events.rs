//! The answer as events, and as the response object that they build.

use std::time::SystemTime;

use ppio_agent_protocol::{ByteSize, ChatEvent, FinishReason, RunStatus};
use serde_json::json;

use super::numbers::SequenceNumbers;
use super::object::{ResponseHead, ResponseState};
use super::output::{CallItem, TextItem, TextKind};
use crate::exchange::failure::Failure;
use crate::exchange::json::line;
use crate::exchange::rejection::Rejection;
use crate::protocols::events::{EventWriter, Translator};
use crate::protocols::items::{AnswerText, Item, Items, NextItem};
use crate::protocols::openai::seconds;
use crate::protocols::openai::tools::CallerTools;
use crate::protocols::whole::MAX_SIZE;
use crate::token_usage::TokenUsage;

/// Writes the events of a response. The same items always lead to the same numbers and ids.
pub(super) struct ResponseEvents {
    /// The id of the run, which is part of the ids of the items.
    id: String,
    head: ResponseHead,
    tools: CallerTools,
    numbers: SequenceNumbers,
    text: AnswerText,
    /// The text or reasoning item that is being written.
    open: Option<TextItem>,
    /// The calls that are not complete.
    calls: Vec<CallItem>,
    /// The JSON of each item; empty if the item is not complete.
    output: Vec<String>,
    /// The size of the texts and arguments, in bytes.
    size: usize,
    usage: Option<TokenUsage>,
    finish: Option<FinishReason>,
    was_cancelled: bool,
    completed_at: Option<SystemTime>,
    end: Option<End>,
}

/// How the answer ended.
struct End {
    failure: Option<Failure>,
    /// The JSON of the response.
    response: String,
}

/// A response that failed.
pub(super) struct FailedResponse {
    pub(super) failure: Failure,
    /// The JSON of the response.
    pub(super) response: String,
}

impl ResponseEvents {
    pub(super) fn new(id: &str, head: ResponseHead, tools: CallerTools) -> Self {
        Self {
            id: id.to_owned(),
            head,
            tools,
            numbers: SequenceNumbers::default(),
            text: AnswerText::default(),
            open: None,
            calls: Vec::new(),
            output: Vec::new(),
            size: 0,
            usage: None,
            finish: None,
            was_cancelled: false,
            completed_at: None,
            end: None,
        }
    }

    /// Omits the events up to and including a sequence number.
    pub(super) fn after(mut self, number: Option<u64>) -> Self {
        self.numbers.after = number;
        self
    }

    /// Sets the status of the run and the time at which the run ended.
    pub(super) fn ended(mut self, status: RunStatus, at: Option<SystemTime>) -> Self {
        self.was_cancelled = status == RunStatus::Cancelled;
        self.completed_at = at;
        self
    }

    /// Reads the whole answer, and returns the JSON of the response.
    ///
    /// # Errors
    /// If the agent failed, or if the answer is too large.
    pub(super) async fn collect(mut self, items: &mut Items) -> Result<String, FailedResponse> {
        self.numbers.after = Some(u64::MAX);
        let mut events = EventWriter::default();
        let mut failure = None;
        loop {
            let more = items.next(|part| match part {
                NextItem::Item(item) => self.item(item, &mut events),
                NextItem::KeepAlive => {}
                NextItem::Failed(failed) => failure = Some(failed),
            });
            if more.await.is_none() || self.end.is_some() {
                break;
            }
        }
        if self.end.is_none() {
            self.end(failure, &mut events);
        }
        match self.end {
            Some(End {
                failure: Some(failure),
                response,
            }) => Err(FailedResponse { failure, response }),
            end => Ok(end.map(|end| end.response).unwrap_or_default()),
        }
    }

    /// Adds text or reasoning to the open item of its kind, or otherwise to a new item.
    fn add(&mut self, kind: TextKind, json: &str, events: &mut EventWriter) {
        if json == r#""""# {
            return;
        }
        if self.open.as_ref().is_none_or(|open| open.kind() != kind) {
            self.close_text("completed", events);
            let item =
                TextItem::begin(kind, &self.id, self.output.len(), &mut self.numbers, events);
            self.open = Some(item);
            self.output.push(String::new());
        }
        if let Some(open) = &mut self.open {
            open.add(json, &mut self.numbers, events);
        }
        self.grow(json.len(), events);
    }

    fn close_text(&mut self, status: &str, events: &mut EventWriter) {
        if let Some(open) = self.open.take() {
            let at = open.index();
            self.output[at] = open.end(status, &mut self.numbers, events);
        }
    }

    fn close_call(&mut self, call: &CallItem, status: &str, events: &mut EventWriter) {
        self.output[call.index()] = call.end(status, &mut self.numbers, events);
    }

    /// Counts the bytes that are kept for the final response, and fails the response if they exceed
    /// the limit.
    fn grow(&mut self, bytes: usize, events: &mut EventWriter) {
        self.size += bytes;
        if self.size > MAX_SIZE && self.end.is_none() {
            let limit = ByteSize::new(MAX_SIZE as u64);
            let error = Rejection::AnswerTooLarge { limit }.into();
            self.end(Some(Failure::of(&error, "")), events);
        }
    }

    fn event(&mut self, event: ChatEvent, events: &mut EventWriter) {
        match event {
            ChatEvent::ReasoningDelta { text } => {
                self.add(TextKind::Reasoning, &line(&text), events);
            }
            ChatEvent::ToolCallStart { id, name } if self.tools.has(&name) => {
                self.close_text("completed", events);
                let at = self.output.len();
                let call = CallItem::begin(id, name, &self.id, at, &mut self.numbers, events);
                self.calls.push(call);
                self.output.push(String::new());
            }
            ChatEvent::ToolCallArguments { id, delta } => {
                let call = self.calls.iter_mut().rfind(|call| call.is(&id));
                if let Some(call) = call {
                    call.add(&delta, &mut self.numbers, events);
                    self.grow(delta.len(), events);
                }
            }
            ChatEvent::ToolCallEnd { id } => {
                if let Some(at) = self.calls.iter().rposition(|call| call.is(&id)) {
                    let call = self.calls.remove(at);
                    self.close_call(&call, "completed", events);
                }
            }
            ChatEvent::Usage {
                input_tokens,
                output_tokens,
            } => TokenUsage::add_to(&mut self.usage, input_tokens, output_tokens),
            ChatEvent::Finish { reason } => self.finish = Some(reason),
            ChatEvent::Interrupt {
                message, reason, ..
            } => {
                let text = self.text.line_of(&message.unwrap_or(reason));
                self.add(TextKind::Text, &text, events);
            }
            // The API has no form for other events.
            _ => {}
        }
    }
}

impl Translator for ResponseEvents {
    fn begin(&mut self, events: &mut EventWriter) {
        let response = self.head.in_progress();
        for name in ["response.created", "response.in_progress"] {
            self.numbers
                .event(events, name, [r#""response":"#, &response]);
        }
    }

    fn item(&mut self, item: Item<'_>, events: &mut EventWriter) {
        if self.end.is_some() {
            return;
        }
        match (self.text.json_of(&item), item) {
            (Some(json), _) => self.add(TextKind::Text, &json, events),
            (None, Item::Event(event)) => self.event(event, events),
            (None, _) => {}
        }
    }

    fn end(&mut self, failure: Option<Failure>, events: &mut EventWriter) {
        let (event, status, incomplete) = match (&failure, self.finish) {
            (Some(failure), _) if failure.is_cancellation || self.was_cancelled => {
                ("response.failed", "cancelled", None)
            }
            (Some(_), _) => ("response.failed", "failed", None),
            (None, Some(FinishReason::Length)) => (
                "response.incomplete",
                "incomplete",
                Some("max_output_tokens"),
            ),
            (None, Some(FinishReason::ContentFilter)) => {
                ("response.incomplete", "incomplete", Some("content_filter"))
            }
            (None, _) => ("response.completed", "completed", None),
        };
        let of_items = if status == "completed" {
            "completed"
        } else {
            "incomplete"
        };
        // If the answer failed, the response contains the open items, but no events end them.
        let mut unsent = EventWriter::default();
        let next = self.numbers.next;
        let end = if failure.is_some() {
            &mut unsent
        } else {
            &mut *events
        };
        self.close_text(of_items, end);
        for call in std::mem::take(&mut self.calls) {
            self.close_call(&call, of_items, end);
        }
        if failure.is_some() {
            self.numbers.next = next;
        }
        let ended_at = self.completed_at.unwrap_or_else(SystemTime::now);
        let error = failure.as_ref();
        let response = self.head.with(&ResponseState {
            status,
            output: &self.output,
            usage: self.usage,
            error: error
                .map(|failure| json!({"code": failure.error_type, "message": failure.message})),
            incomplete,
            completed_at: (status == "completed").then(|| seconds(ended_at)),
        });
        self.numbers
            .event(events, event, [r#""response":"#, &response]);
        self.end = Some(End { failure, response });
    }

    fn has_ended(&self) -> bool {
        self.end.is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn a_response_that_is_too_large_fails() {
        let head = ResponseHead::new("1", 0, &Map::new());
        let mut response =
            ResponseEvents::new("1", head, CallerTools::default()).after(Some(u64::MAX));
        let mut events = EventWriter::default();
        response.begin(&mut events);
        let text = line(&"x".repeat(1 << 20));
        for _ in 0..MAX_SIZE >> 20 {
            assert!(!response.has_ended());
            response.item(Item::Text(&text), &mut events);
        }
        assert!(response.has_ended());
        let end = response.end.as_ref().unwrap();
        assert_eq!(end.failure.as_ref().unwrap().error_type, "AnswerTooLarge");
        let events = response.numbers.next;
        response.item(Item::Text(&text), &mut EventWriter::default());
        assert_eq!(response.numbers.next, events, "nothing follows the end");
    }
}
