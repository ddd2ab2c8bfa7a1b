//! An answer that is read whole before it is sent.

use ppio_agent_protocol::{ByteSize, ChatEvent, FinishReason};
use serde_json::Value;

use super::items::{Item, Items, NextItem, text_of};
use crate::exchange::error::Error;
use crate::exchange::rejection::Rejection;
use crate::token_usage::TokenUsage;

/// The largest answer that is read whole, in bytes. The size is checked after each batch of items,
/// so an answer that is one value is read first.
pub(super) const MAX_SIZE: usize = 64 << 20;

/// A complete answer of the agent.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct WholeAnswer {
    /// The text, including other values as JSON, each at the beginning of a line.
    pub(crate) text: String,
    /// The text without other values.
    pub(crate) plain_text: String,
    /// The model's reasoning.
    pub(crate) reasoning: String,
    pub(crate) tool_calls: Vec<AnswerToolCall>,
    /// The items that are neither text nor chat events.
    pub(crate) values: Vec<Value>,
    /// The chat events that the other fields do not represent, in order.
    pub(crate) events: Vec<ChatEvent>,
    /// The tokens, if the agent reported them.
    pub(crate) usage: Option<TokenUsage>,
    pub(crate) finish: Option<FinishReason>,
    /// The last [`Interrupt`](ChatEvent::Interrupt), if the agent sent one.
    pub(crate) interrupt: Option<ChatEvent>,
}

/// A tool call.
#[derive(Debug, PartialEq)]
pub(crate) struct AnswerToolCall {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The JSON text of the arguments.
    pub(crate) arguments: String,
    /// The result of the tool and whether the tool failed, if the agent ran it.
    pub(crate) result: Option<(Value, bool)>,
}

impl WholeAnswer {
    /// Adds an item.
    pub(crate) fn add(&mut self, item: Item<'_>) {
        match item {
            Item::Text(json) => self.add_text(&text_of(json)),
            Item::Data(json) => {
                self.add_line(json);
                self.values
                    .push(serde_json::from_str(json).unwrap_or_default());
            }
            Item::Event(event) => self.add_event(event),
        }
    }

    /// Moves the interrupt to the text, as its message or otherwise its reason, for a protocol that
    /// cannot represent an interrupt.
    #[cfg(feature = "openai")]
    pub(crate) fn add_interrupt_text(&mut self) {
        if let Some(ChatEvent::Interrupt {
            message, reason, ..
        }) = self.interrupt.take()
        {
            self.add_line(&message.unwrap_or(reason));
        }
    }

    fn add_line(&mut self, line: &str) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text.push_str(line);
    }

    fn add_text(&mut self, text: &str) {
        self.text.push_str(text);
        self.plain_text.push_str(text);
    }

    fn add_event(&mut self, event: ChatEvent) {
        match event {
            ChatEvent::TextDelta { text } => self.add_text(&text),
            ChatEvent::ReasoningDelta { text } => self.reasoning.push_str(&text),
            ChatEvent::ToolCallStart { id, name } => self.tool_calls.push(AnswerToolCall {
                id,
                name,
                arguments: String::new(),
                result: None,
            }),
            ChatEvent::ToolCallArguments { id, delta } => {
                if let Some(call) = self.call(&id) {
                    call.arguments.push_str(&delta);
                }
            }
            ChatEvent::ToolCallEnd { .. } => {}
            ChatEvent::ToolResult {
                id,
                result,
                is_error,
            } => {
                if let Some(call) = self.call(&id) {
                    call.result = Some((result, is_error));
                }
            }
            ChatEvent::Usage {
                input_tokens,
                output_tokens,
            } => TokenUsage::add_to(&mut self.usage, input_tokens, output_tokens),
            ChatEvent::Finish { reason } => self.finish = Some(reason),
            ChatEvent::Interrupt { .. } => self.interrupt = Some(event),
            other => self.events.push(other),
        }
    }

    fn call(&mut self, id: &str) -> Option<&mut AnswerToolCall> {
        self.tool_calls.iter_mut().rfind(|call| call.id == id)
    }
}

/// Collects a whole answer, up to `MAX_SIZE`.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    answer: WholeAnswer,
    size: usize,
}

impl Collector {
    /// Adds an item, unless the answer is too large already.
    pub(crate) fn add(&mut self, item: Item<'_>) {
        if !self.is_too_large() {
            self.size += size_of_item(&item);
            self.answer.add(item);
        }
    }

    fn is_too_large(&self) -> bool {
        self.size > MAX_SIZE
    }

    /// Returns the answer, or an error if it is too large.
    pub(crate) fn finish(self) -> Result<WholeAnswer, Rejection> {
        if self.is_too_large() {
            let limit = ByteSize::new(MAX_SIZE as u64);
            return Err(Rejection::AnswerTooLarge { limit });
        }
        Ok(self.answer)
    }
}

/// Reads a whole answer.
pub(super) async fn collect(mut items: Items) -> Result<WholeAnswer, Error> {
    let mut collector = Collector::default();
    let mut failed = None;
    while items
        .next(|part| match part {
            NextItem::Item(item) => collector.add(item),
            NextItem::KeepAlive => {}
            NextItem::Failed(failure) => failed = Some(failure),
        })
        .await
        .is_some()
    {
        if collector.is_too_large() {
            break;
        }
    }
    match failed {
        Some(failure) => Err(failure.into_error()),
        None => Ok(collector.finish()?),
    }
}

/// Returns the approximate size of an item in memory, in bytes.
fn size_of_item(item: &Item<'_>) -> usize {
    match item {
        Item::Text(json) | Item::Data(json) => json.len(),
        Item::Event(event) => serde_json::to_vec(event).map_or(0, |json| json.len()),
    }
}
