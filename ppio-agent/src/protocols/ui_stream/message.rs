//! The messages of the AI SDK, whose parts are text, reasoning, files, tool calls with their
//! results, sources, data and steps.

use ppio_agent_protocol::{ChatMessage, ChatPart, ChatRole, ToolCall};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::chat::ToolPart;

#[derive(Deserialize)]
pub(super) struct UiMessage {
    pub(super) id: String,
    pub(super) role: UiRole,
    pub(super) parts: Vec<Value>,
    metadata: Option<Value>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum UiRole {
    System,
    User,
    Assistant,
}

impl UiMessage {
    /// Splits the message into chat messages, since an assistant's message also contains the
    /// results of tools and the content that follows them.
    pub(super) fn into_messages(self) -> Vec<ChatMessage> {
        let role = match self.role {
            UiRole::System => ChatRole::System,
            UiRole::User => ChatRole::User,
            UiRole::Assistant => ChatRole::Assistant,
        };
        let mut extra = Map::new();
        if let Some(metadata) = self.metadata {
            extra.insert("metadata".to_owned(), metadata);
        }
        let mut turns = Turns {
            id: self.id,
            role,
            extra,
            content: Vec::new(),
            calls: Vec::new(),
            results: Vec::new(),
            messages: Vec::new(),
        };
        for part in self.parts {
            turns.add(part);
        }
        turns.end();
        // An empty message is kept as well.
        if turns.messages.is_empty() {
            turns.push();
        }
        turns.messages
    }
}

/// The messages so far, and the one that is being read.
struct Turns {
    id: String,
    role: ChatRole,
    extra: Map<String, Value>,
    content: Vec<ChatPart>,
    calls: Vec<ToolCall>,
    results: Vec<ChatMessage>,
    messages: Vec<ChatMessage>,
}

impl Turns {
    fn add(&mut self, part: Value) {
        if part["type"] == "step-start" {
            self.end();
        } else if let Some(tool) = ToolPart::of(&part) {
            self.call(&tool);
        } else if let Some(part) = content(part) {
            if !self.calls.is_empty() {
                self.end();
            }
            self.content.push(part);
        }
    }

    fn call(&mut self, tool: &ToolPart<'_>) {
        // The call is not complete.
        if tool.state == "input-streaming" {
            return;
        }
        let arguments = match &tool.part["input"] {
            Value::Null => "{}".to_owned(),
            input => input.to_string(),
        };
        self.calls
            .push(ToolCall::new(tool.id, tool.name, arguments));
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let (result, is_error) = match tool.state {
            "output-available" => (text(&tool.part["output"]), false),
            "output-error" => (text(&tool.part["errorText"]), true),
            "output-denied" => {
                let reason = tool.part["approval"]["reason"].as_str();
                (reason.unwrap_or("the call was denied").to_owned(), true)
            }
            _ => return,
        };
        let mut message = ChatMessage::tool(tool.id, result.clone());
        if is_error {
            message.extra.insert("error".to_owned(), result.into());
        }
        self.results.push(message);
    }

    /// Ends the message that is being read, unless it is empty.
    fn end(&mut self) {
        if !self.content.is_empty() || !self.calls.is_empty() {
            self.push();
        }
    }

    fn push(&mut self) {
        let content = std::mem::take(&mut self.content);
        let mut message = ChatMessage::of_parts(self.role, content);
        message.id = Some(self.id.clone());
        message.tool_calls = std::mem::take(&mut self.calls);
        message.extra.clone_from(&self.extra);
        self.messages.push(message);
        self.messages.append(&mut self.results);
    }
}

/// Reads a part that is neither a step nor a call; `None` for sources, which only the page uses.
fn content(part: Value) -> Option<ChatPart> {
    let text = |name: &str| part[name].as_str();
    Some(match text("type") {
        Some("text") if part["text"].is_string() => ChatPart::text(text("text").unwrap_or("")),
        Some("reasoning") => ChatPart::Other(json!({"type": "reasoning", "text": part["text"]})),
        Some("file") => {
            let url = text("url").unwrap_or_default();
            let bytes = url
                .strip_prefix("data:")
                .and_then(|rest| rest.split_once(";base64,"));
            let (url, data) = match bytes {
                Some((_, data)) => (None, Some(data.to_owned())),
                None => (Some(url.to_owned()), None),
            };
            ChatPart::File {
                media_type: text("mediaType").map(str::to_owned),
                name: text("filename").map(str::to_owned),
                url,
                data,
            }
        }
        Some("source-url" | "source-document") => return None,
        _ => ChatPart::Other(part),
    })
}
