//! The answer as a stream of chunks.

use ppio_agent_protocol::{ChatEvent, FinishReason};
use serde::Serialize;
use serde_json::{Value, json};

use super::{CompletionFormat, finish_reason, usage};
use crate::exchange::failure::Failure;
use crate::exchange::json::line;
use crate::protocols::events::{EventWriter, Translator};
use crate::protocols::items::{AnswerText, Item};
use crate::protocols::openai::error_json;
use crate::token_usage::TokenUsage;

/// Writes the chunks of a chat completion.
pub(super) struct ChunkWriter {
    format: CompletionFormat,
    /// The JSON of a chunk up to its choices.
    head: String,
    /// The JSON of a chunk up to the content of its delta.
    before_text: String,
    /// The JSON after the delta of a chunk that has no finish reason.
    after_delta: &'static str,
    text: AnswerText,
    /// The ids of the calls of the caller's tools, by index.
    calls: Vec<String>,
    usage: Option<TokenUsage>,
    finish: Option<FinishReason>,
}

impl ChunkWriter {
    pub(super) fn new(id: &str, created: u64, format: CompletionFormat) -> Self {
        #[derive(Serialize)]
        struct ChunkHead<'a> {
            id: &'a str,
            object: &'static str,
            created: u64,
            model: &'a str,
        }
        let mut head = line(&ChunkHead {
            id,
            object: "chat.completion.chunk",
            created,
            model: &format.model,
        });
        head.pop();
        Self {
            before_text: format!(r#"{head},"choices":[{{"index":0,"delta":{{"content":"#),
            head,
            // If the usage is in a chunk of its own, the other chunks have null as their usage.
            after_delta: if format.include_usage {
                r#","finish_reason":null}],"usage":null}"#
            } else {
                r#","finish_reason":null}]}"#
            },
            text: AnswerText::default(),
            calls: Vec::new(),
            usage: None,
            finish: None,
            format,
        }
    }

    fn text(&self, json: &str, events: &mut EventWriter) {
        events.parts(&[&self.before_text, json, "}", self.after_delta]);
    }

    fn delta(&self, delta: &Value, events: &mut EventWriter) {
        let choice = r#","choices":[{"index":0,"delta":"#;
        events.parts(&[&self.head, choice, &line(delta), self.after_delta]);
    }

    fn event(&mut self, event: ChatEvent, events: &mut EventWriter) {
        match event {
            ChatEvent::ReasoningDelta { text } => {
                self.delta(&json!({"reasoning_content": text}), events);
            }
            ChatEvent::ToolCallStart { id, name } if self.format.tools.has(&name) => {
                let function = json!({"name": name, "arguments": ""});
                let index = self.calls.len();
                if !self.format.calls_one_function {
                    let call =
                        json!({"index": index, "id": id, "type": "function", "function": function});
                    self.delta(&json!({"tool_calls": [call]}), events);
                } else if index == 0 {
                    self.delta(&json!({"function_call": function}), events);
                }
                self.calls.push(id);
            }
            ChatEvent::ToolCallArguments { id, delta } => {
                let index = self.calls.iter().rposition(|call| *call == id);
                let function = json!({"arguments": delta});
                match index {
                    Some(index) if !self.format.calls_one_function => {
                        let call = json!({"index": index, "function": function});
                        self.delta(&json!({"tool_calls": [call]}), events);
                    }
                    Some(0) => self.delta(&json!({"function_call": function}), events),
                    _ => {}
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
                self.text(&text, events);
            }
            // A chunk has no member for other events.
            _ => {}
        }
    }
}

impl Translator for ChunkWriter {
    fn begin(&mut self, events: &mut EventWriter) {
        self.delta(&json!({"role": "assistant", "content": ""}), events);
    }

    fn item(&mut self, item: Item<'_>, events: &mut EventWriter) {
        match (self.text.json_of(&item), item) {
            (Some(json), _) => self.text(&json, events),
            (None, Item::Event(event)) => self.event(event, events),
            (None, _) => {}
        }
    }

    fn end(&mut self, failure: Option<Failure>, events: &mut EventWriter) {
        if let Some(failure) = failure {
            // Clients raise this error. `[DONE]` is not sent, so that the stream is also incomplete
            // for readers that ignore the error.
            return events.json(&json!({"error": error_json(&failure)}));
        }
        let reason = finish_reason(self.finish, &self.format, !self.calls.is_empty());
        let reason = [r#""finish_reason":""#, reason, r#""}]"#].concat();
        let choice = r#","choices":[{"index":0,"delta":{},"#;
        let end = if self.format.include_usage {
            r#","usage":null}"#
        } else {
            "}"
        };
        events.parts(&[&self.head, choice, &reason, end]);
        if let Some(tokens) = self.usage.filter(|_| self.format.include_usage) {
            let usage = line(&usage(tokens));
            events.parts(&[&self.head, r#","choices":[],"usage":"#, &usage, "}"]);
        }
        events.parts(&["[DONE]"]);
    }
}
