//! The items of the input, as the messages of a chat.

use ppio_agent_protocol::{ChatMessage, ChatPart, ChatRole, ToolCall};
use serde_json::{Value, json};

use crate::exchange::error::Error;
use crate::protocols::openai::{content, does_not_fit, unsupported};

/// Returns the items of an input. A text becomes one message.
pub(super) fn items(input: Value) -> Result<Vec<Value>, Error> {
    match input {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![
            json!({"type": "message", "role": "user", "content": text}),
        ]),
        Value::Array(items) => Ok(items),
        _ => Err(does_not_fit(
            "input",
            "expected a string or a list of items",
        )),
    }
}

/// Converts items to messages, and appends them.
pub(super) fn add(items: Vec<Value>, messages: &mut Vec<ChatMessage>) -> Result<(), Error> {
    let mut reader = InputReader {
        messages,
        reasoning: String::new(),
        is_assistants: false,
    };
    for (at, item) in items.into_iter().enumerate() {
        reader.item(item, &format!("input[{at}]"))?;
    }
    Ok(())
}

struct InputReader<'a> {
    messages: &'a mut Vec<ChatMessage>,
    /// The model's reasoning that precedes the next message. Only an assistant's message keeps the
    /// reasoning.
    reasoning: String,
    /// Whether the last message is the assistant's and from this input, so that calls belong to it.
    is_assistants: bool,
}

impl InputReader<'_> {
    fn item(&mut self, mut item: Value, place: &str) -> Result<(), Error> {
        let kind = item["type"].as_str().unwrap_or("message").to_owned();
        let text = |name: &str| {
            let missing = || does_not_fit(&format!("{place}.{name}"), "expected a string");
            item[name].as_str().map(str::to_owned).ok_or_else(missing)
        };
        match kind.as_str() {
            "message" => {
                let role = match item["role"].as_str() {
                    Some("user") => ChatRole::User,
                    Some("assistant") => ChatRole::Assistant,
                    Some("system") => ChatRole::System,
                    Some("developer") => ChatRole::Developer,
                    _ => {
                        let roles = "expected `user`, `assistant`, `system` or `developer`";
                        return Err(does_not_fit(&format!("{place}.role"), roles));
                    }
                };
                let content = item["content"].take();
                let content = content::parts(content, &format!("{place}.content"))?;
                let mut message = ChatMessage::of_parts(role, content);
                message.id = item["id"].as_str().map(str::to_owned);
                self.push(message);
            }
            "function_call" => {
                let call = ToolCall::new(text("call_id")?, text("name")?, text("arguments")?);
                self.assistants().tool_calls.push(call);
            }
            "function_call_output" => {
                let call_id = text("call_id")?;
                let output = item["output"].take();
                let output = content::parts(output, &format!("{place}.output"))?;
                let mut message = ChatMessage::of_parts(ChatRole::Tool, output);
                message.tool_call_id = Some(call_id);
                self.push(message);
            }
            "reasoning" => {
                let parts = [&item["content"], &item["summary"]];
                let parts = parts.into_iter().filter_map(Value::as_array);
                let parts = parts.flatten().filter_map(|part| part["text"].as_str());
                self.reasoning.extend(parts);
            }
            "item_reference" => {
                return Err(unsupported(format!(
                    "`{place}` refers to an item that is not in the request; send the item \
                     itself, or `previous_response_id`"
                )));
            }
            // Other items are passed to the agent as they are.
            _ => self.push(ChatMessage::of_parts(
                ChatRole::Assistant,
                vec![ChatPart::Other(item)],
            )),
        }
        Ok(())
    }

    fn push(&mut self, mut message: ChatMessage) {
        self.is_assistants = message.role == ChatRole::Assistant;
        let reasoning = std::mem::take(&mut self.reasoning);
        if self.is_assistants && !reasoning.is_empty() {
            message
                .extra
                .insert("reasoning_content".to_owned(), reasoning.into());
        }
        self.messages.push(message);
    }

    /// Returns the assistant's message that a call belongs to; appends one if necessary.
    fn assistants(&mut self) -> &mut ChatMessage {
        if !self.is_assistants || !self.reasoning.is_empty() || self.messages.is_empty() {
            self.push(ChatMessage::of_parts(ChatRole::Assistant, Vec::new()));
        }
        let last = self.messages.len() - 1;
        &mut self.messages[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_messages() {
        let unknown = json!({"type": "web_search_call", "id": "ws_1", "status": "completed"});
        let mut messages = vec![ChatMessage::assistant("before")];
        let input = json!([
            {"role": "developer", "content": "Be short."},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "Wait.", "annotations": []}]},
            {"type": "function_call", "call_id": "c1", "name": "a", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "b", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "20"},
            {"type": "function_call_output", "call_id": "c2",
             "output": [{"type": "input_text", "text": "21"}]},
            {"type": "function_call", "call_id": "c3", "name": "a", "arguments": "{}"},
            unknown.clone(),
        ]);
        add(items(input).unwrap(), &mut messages).unwrap();
        let expected = json!([
            {"role": "assistant", "content": "before"},
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": "Hi"},
            {"id": "msg_1", "role": "assistant", "content": "Wait.", "reasoning_content": "hm",
             "tool_calls": [{"id": "c1", "name": "a", "arguments": "{}"},
                            {"id": "c2", "name": "b", "arguments": "{}"}]},
            {"role": "tool", "content": "20", "tool_call_id": "c1"},
            {"role": "tool", "content": "21", "tool_call_id": "c2"},
            {"role": "assistant", "tool_calls": [{"id": "c3", "name": "a", "arguments": "{}"}]},
            {"role": "assistant", "content": [unknown]},
        ]);
        assert_eq!(json!(messages), expected);
    }

    #[test]
    fn incomplete_items_are_errors_with_their_location() {
        for (input, place) in [
            (json!(5), "`input`"),
            (json!(["Hi"]), "`input[0].role`"),
            (
                json!([{"role": "wizard", "content": "Hi"}]),
                "`input[0].role`",
            ),
            (
                json!([{"role": "user", "content": [{"type": "input_text"}]}]),
                "`input[0].content[0]`",
            ),
            (
                json!([{"type": "function_call", "name": "a"}]),
                "`input[0].call_id`",
            ),
            (
                json!([{"type": "function_call_output", "output": ""}]),
                "`input[0].call_id`",
            ),
            (
                json!([{"type": "item_reference", "id": "msg_1"}]),
                "`input[0]`",
            ),
        ] {
            let read = items(input.clone()).and_then(|items| add(items, &mut Vec::new()));
            let error = read.unwrap_err();
            assert!(error.status().is_client_error(), "{input}");
            assert!(error.message().contains(place), "{input}: {error}");
        }
    }
}
