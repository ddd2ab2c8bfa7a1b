//! The AG-UI request.

use ppio_agent_protocol::{
    ChatMessage, ChatPart, ChatRole, ChatTool, InterruptResponse, InterruptStatus,
    InvocationRequest, ToolCall,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The input of a run. Members of the JSON that have no field here are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunAgentInput {
    pub(super) thread_id: String,
    pub(super) run_id: String,
    pub(super) parent_run_id: Option<String>,
    messages: Vec<InputMessage>,
    tools: Option<Vec<ChatTool>>,
    state: Option<Value>,
    context: Option<Vec<Value>>,
    forwarded_props: Option<Value>,
    resume: Option<Vec<ResumeEntry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InputMessage {
    id: String,
    role: InputRole,
    content: Option<InputContent>,
    name: Option<String>,
    tool_calls: Option<Vec<InputToolCall>>,
    tool_call_id: Option<String>,
    /// All other members, such as `error` of a tool message, `encryptedValue` and `metadata`.
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Deserialize, PartialEq, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum InputRole {
    Developer,
    System,
    Assistant,
    User,
    Tool,
    Reasoning,
    /// Shown by an application beside the chat, and not a part of it.
    Activity,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum InputContent {
    Text(String),
    Parts(Vec<Value>),
    /// The content of an activity.
    Object(#[expect(dead_code, reason = "only its type matters")] Map<String, Value>),
}

#[derive(Deserialize)]
struct InputToolCall {
    id: String,
    function: CalledFunction,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Deserialize)]
struct CalledFunction {
    name: String,
    #[serde(default)]
    arguments: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResumeEntry {
    interrupt_id: String,
    status: InterruptStatus,
    payload: Option<Value>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl RunAgentInput {
    /// Returns the idempotency key by which the run is found when the same input is sent again.
    pub(super) fn key(&self) -> String {
        json!(["ag-ui", self.thread_id, self.run_id]).to_string()
    }

    /// Returns the request to the agent.
    pub(super) fn into_request(self) -> InvocationRequest {
        let mut request = InvocationRequest::of_messages(messages(self.messages))
            .with_stream(true)
            .with_thread_id(self.thread_id)
            .with_request_id(self.run_id)
            .with_tools(self.tools.unwrap_or_default());
        request.state = self.state;
        let resume = self.resume.unwrap_or_default().into_iter();
        request.resume = resume.map(ResumeEntry::into_response).collect();
        match self.forwarded_props {
            Some(Value::Object(props)) if props.is_empty() => {}
            Some(Value::Object(props)) => request.metadata = Some(props),
            Some(other) => {
                request.extra.insert("forwardedProps".to_owned(), other);
            }
            None => {}
        }
        if let Some(context) = self.context.filter(|context| !context.is_empty()) {
            request.extra.insert("context".to_owned(), context.into());
        }
        if let Some(parent) = self.parent_run_id {
            request
                .extra
                .insert("parentRunId".to_owned(), parent.into());
        }
        request
    }
}

impl ResumeEntry {
    fn into_response(self) -> InterruptResponse {
        let mut response = match self.status {
            InterruptStatus::Cancelled => InterruptResponse::cancelled(self.interrupt_id),
            _ => {
                InterruptResponse::resolved(self.interrupt_id, self.payload.unwrap_or(Value::Null))
            }
        };
        response.extra = self.extra;
        response
    }
}

/// Returns the messages of the chat, without activities. Reasoning becomes part of the assistant's
/// message that it precedes, or otherwise a message of its own.
fn messages(input: Vec<InputMessage>) -> Vec<ChatMessage> {
    let mut messages = Vec::with_capacity(input.len());
    let mut reasoning = Vec::new();
    for message in input {
        let role = match message.role {
            InputRole::Activity => continue,
            InputRole::Reasoning => {
                reasoning.push(ChatPart::Other(message.into_reasoning()));
                continue;
            }
            InputRole::Developer => ChatRole::Developer,
            InputRole::System => ChatRole::System,
            InputRole::Assistant => ChatRole::Assistant,
            InputRole::User => ChatRole::User,
            InputRole::Tool => ChatRole::Tool,
        };
        let mut message = message.into_message(role);
        if !reasoning.is_empty() {
            let thoughts = std::mem::take(&mut reasoning);
            if role == ChatRole::Assistant {
                message.content.splice(0..0, thoughts);
            } else {
                messages.push(ChatMessage::of_parts(ChatRole::Assistant, thoughts));
            }
        }
        messages.push(message);
    }
    if !reasoning.is_empty() {
        messages.push(ChatMessage::of_parts(ChatRole::Assistant, reasoning));
    }
    messages
}

impl InputMessage {
    fn into_message(self, role: ChatRole) -> ChatMessage {
        let content = match self.content {
            Some(InputContent::Text(text)) => vec![ChatPart::text(text)],
            Some(InputContent::Parts(parts)) => parts.into_iter().map(part).collect(),
            _ => Vec::new(),
        };
        let mut message = ChatMessage::of_parts(role, content);
        message.id = Some(self.id);
        message.name = self.name;
        let calls = self.tool_calls.unwrap_or_default().into_iter();
        message.tool_calls = calls.map(InputToolCall::into_call).collect();
        message.tool_call_id = self.tool_call_id;
        message.extra = self.extra;
        message
    }

    fn into_reasoning(self) -> Value {
        let mut part = self.extra;
        part.insert("type".to_owned(), "reasoning".into());
        if let Some(InputContent::Text(text)) = self.content {
            part.insert("text".to_owned(), text.into());
        }
        part.into()
    }
}

impl InputToolCall {
    fn into_call(self) -> ToolCall {
        let mut call = ToolCall::new(self.id, self.function.name, self.function.arguments);
        call.extra = self.extra;
        // `type` is always `function`.
        call.extra.remove("type");
        call
    }
}

/// Reads a part of a message. A part of an unknown kind is kept as it was sent.
fn part(part: Value) -> ChatPart {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let source = &part["source"];
    // A model needs the media type of a file; if the media type is absent, the kind of the part is
    // used.
    let any_type = match part["type"].as_str() {
        Some("text") if part["text"].is_string() => {
            return ChatPart::text(part["text"].as_str().unwrap_or_default());
        }
        // Versions before 1.0 have this kind of part.
        Some("binary") => {
            return ChatPart::File {
                media_type: text(&part["mimeType"]),
                name: text(&part["filename"]),
                url: text(&part["url"]),
                data: text(&part["data"]),
            };
        }
        Some("image") => Some("image/*"),
        Some("audio") => Some("audio/*"),
        Some("video") => Some("video/*"),
        Some("document") => None,
        _ => return ChatPart::Other(part),
    };
    let value = text(&source["value"]);
    let (url, data) = match source["type"].as_str() {
        Some("url") if value.is_some() => (value, None),
        Some("data") if value.is_some() => (None, value),
        // The source is a handle that only its provider can resolve.
        _ => return ChatPart::Other(part),
    };
    ChatPart::File {
        media_type: text(&source["mimeType"]).or(any_type.map(str::to_owned)),
        name: text(&part["metadata"]["filename"]),
        url,
        data,
    }
}

#[cfg(test)]
mod tests;
