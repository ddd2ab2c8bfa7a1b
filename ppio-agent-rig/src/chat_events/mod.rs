//! The stream of an agent as chat events.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use ppio::{ChatEvent, Error, FinishReason, Value, json};
use rig::agent::{CompletionCall, MultiTurnStreamItem, PromptResponse, StreamingResult};
use rig::completion::FinishReason as RigFinishReason;
use rig::message::{
    AssistantContent, DocumentSourceKind, Image, MimeType as _, SourceLocation, Text, ToolCall,
    ToolResult, ToolResultContent,
};
use rig::streaming::{Item, StreamEvent};

use crate::error::error;

/// Returns the chat events of a streamed run of an agent.
///
/// | rig's item | events |
/// | --- | --- |
/// | text | [`TextDelta`](ChatEvent::TextDelta) |
/// | reasoning | [`ReasoningDelta`](ChatEvent::ReasoningDelta) |
/// | a tool call | [`ToolCallStart`](ChatEvent::ToolCallStart), [`ToolCallArguments`](ChatEvent::ToolCallArguments) and [`ToolCallEnd`](ChatEvent::ToolCallEnd), once the turn of the model is complete: until then rig has no id of the call |
/// | the result of a tool | [`ToolResult`](ChatEvent::ToolResult), once all calls of the turn have ended |
/// | a citation of a web page | [`Source`](ChatEvent::Source), once for each page |
/// | an image | [`Data`](ChatEvent::Data) with the name `image`, and `url` or `data` in Base64, and `media_type` |
/// | the end of a call of the model | [`Usage`](ChatEvent::Usage), if the model reports it |
/// | a turn that a hook has the model repeat | [`Data`](ChatEvent::Data) with the name `retry` and the number of the `turn` whose text is replaced |
/// | the final response | [`Finish`](ChatEvent::Finish), if the model reports why it stopped; before it, text that was not streamed, such as structured output |
/// | an error | an `Err`, which ends the stream |
///
/// Dropping the stream drops the run: the call of the model is cancelled, and no tool starts.
///
/// ```
/// use futures_util::{StreamExt, stream};
/// use ppio::ChatEvent;
/// use ppio_rig::rig::agent::MultiTurnStreamItem;
/// use ppio_rig::rig::completion::Usage;
/// use ppio_rig::rig::message::AssistantContent;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// // As `agent.prompt("Hi").stream()` returns it.
/// let answer = vec![AssistantContent::text("Hello")];
/// let items = [Ok(MultiTurnStreamItem::final_response(answer, Usage::new()))];
/// let events: Vec<_> = ppio_rig::events(stream::iter(items).boxed()).collect().await;
/// assert_eq!(events[0].as_ref().unwrap(), &ChatEvent::text("Hello"));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn events(run: StreamingResult) -> ChatEvents {
    ChatEvents {
        run: Some(run),
        translation: Translation::default(),
    }
}

/// A stream of chat events, created by [`events`].
#[must_use = "streams do nothing unless polled"]
pub struct ChatEvents {
    /// `None` once the run has ended.
    run: Option<StreamingResult>,
    translation: Translation,
}

impl Stream for ChatEvents {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { run, translation } = &mut *self;
        loop {
            if let Some(event) = translation.events.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            let Some(open) = run else {
                return Poll::Ready(None);
            };
            match ready!(open.as_mut().poll_next(cx)) {
                Some(Ok(item)) => translation.add(item),
                Some(Err(failure)) => {
                    *run = None;
                    return Poll::Ready(Some(Err(error(failure))));
                }
                None => *run = None,
            }
        }
    }
}

/// The events of the items so far, and the state that later items are compared with.
#[derive(Default)]
struct Translation {
    events: VecDeque<ChatEvent>,
    /// The text of the model's current turn.
    turn_text: String,
    /// The ids of the calls that were sent and have no result yet.
    calls: Vec<String>,
    /// Why the model last stopped.
    finish: Option<FinishReason>,
    /// The addresses of the sources so far.
    sources: Vec<String>,
}

impl Translation {
    fn add(&mut self, item: MultiTurnStreamItem) {
        match item {
            MultiTurnStreamItem::StreamAssistantItem(Item::Event(event)) => {
                self.add_streamed(event);
            }
            MultiTurnStreamItem::ToolCall { tool_call } => self.add_tool_call(tool_call),
            MultiTurnStreamItem::ToolResult { tool_result } => self.add_tool_result(tool_result),
            MultiTurnStreamItem::CompletionCall(call) => self.add_completion_call(call),
            MultiTurnStreamItem::ModelTurnRetried { turn } => {
                self.turn_text.clear();
                self.events
                    .push_back(ChatEvent::data("retry", json!({ "turn": turn })));
            }
            MultiTurnStreamItem::FinalResponse(response) => self.add_final(&response),
            // A tool that ran has a result; payloads that rig does not define are left out.
            _ => {}
        }
    }

    fn add_streamed(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Text { text, .. } if !text.is_empty() => {
                self.turn_text.push_str(&text);
                self.events.push_back(ChatEvent::TextDelta { text });
            }
            StreamEvent::Reasoning { text, .. } if !text.is_empty() => {
                self.events.push_back(ChatEvent::ReasoningDelta { text });
            }
            StreamEvent::End { content, .. } => match content {
                AssistantContent::Text(text) => self.add_sources(&text),
                AssistantContent::Image(image) => {
                    self.events
                        .extend(image_data(image).map(|data| ChatEvent::data("image", data)));
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn add_sources(&mut self, text: &Text) {
        for source in text
            .citations()
            .iter()
            .flat_map(|citation| &citation.sources)
        {
            let SourceLocation::Url { url } = &source.location else {
                continue;
            };
            if self.sources.contains(url) {
                continue;
            }
            self.sources.push(url.clone());
            self.events.push_back(ChatEvent::Source {
                id: format!("source-{}", self.sources.len()),
                url: url.clone(),
                title: source.title.clone(),
            });
        }
    }

    fn add_tool_call(&mut self, call: ToolCall) {
        self.turn_text.clear();
        let id = call.id.to_string();
        self.calls.push(id.clone());
        let function = call.function;
        let delta = match function.invalid_arguments {
            Some(text) => text,
            None => Value::Object(function.arguments).to_string(),
        };
        self.events.extend([
            ChatEvent::ToolCallStart {
                id: id.clone(),
                name: function.name.into(),
            },
            ChatEvent::ToolCallArguments {
                id: id.clone(),
                delta,
            },
            ChatEvent::ToolCallEnd { id },
        ]);
    }

    fn add_tool_result(&mut self, result: ToolResult) {
        self.turn_text.clear();
        let id = result.call.to_string();
        // A call that a hook answers because the agent does not have the tool is not reported.
        if !self.calls.contains(&id) {
            let call = ChatEvent::tool_call(&*id, result.name, &json!({}));
            self.events.extend(call);
        }
        self.calls.retain(|call| *call != id);
        self.events.push_back(ChatEvent::ToolResult {
            id,
            result: result_value(result.content),
            is_error: result.is_error,
        });
    }

    fn add_completion_call(&mut self, call: CompletionCall) {
        let (input, output) = (call.usage.input_tokens, call.usage.output_tokens);
        if input.is_some() || output.is_some() {
            self.events.push_back(ChatEvent::Usage {
                input_tokens: input.unwrap_or_default(),
                output_tokens: output.unwrap_or_default(),
            });
        }
        self.finish = call.finish_reason.map(|reason| match reason {
            // The run continues after a call of a tool, or has taken its arguments as the answer.
            RigFinishReason::Stop | RigFinishReason::ToolCalls => FinishReason::Stop,
            RigFinishReason::Length => FinishReason::Length,
            RigFinishReason::ContentFilter => FinishReason::ContentFilter,
            _ => FinishReason::Other,
        });
    }

    fn add_final(&mut self, response: &PromptResponse) {
        let output = response.output();
        let unsent = output.strip_prefix(&self.turn_text).unwrap_or(&output);
        if !unsent.is_empty() {
            self.events.push_back(ChatEvent::text(unsent));
        }
        self.events
            .extend(self.finish.map(|reason| ChatEvent::Finish { reason }));
    }
}

/// Returns the result of a tool as JSON: one value, or a list of its parts.
fn result_value(content: Vec<ToolResultContent>) -> Value {
    let mut parts: Vec<Value> = content
        .into_iter()
        .map(|part| match part {
            ToolResultContent::Text(text) => Value::String(text.text),
            ToolResultContent::Json { value } => value,
            ToolResultContent::Image(image) => image_data(image).unwrap_or_default(),
        })
        .collect();
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        Value::Array(parts)
    }
}

/// Returns the URL or the bytes of an image; `None` for an image that the provider stores.
fn image_data(image: Image) -> Option<Value> {
    let media_type = image.media_type.map(|kind| kind.to_mime_type());
    match image.data {
        DocumentSourceKind::Url(url) => Some(json!({ "url": url, "media_type": media_type })),
        DocumentSourceKind::Base64(data) => Some(json!({ "data": data, "media_type": media_type })),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
