//! The messages of a request.

use ppio_agent_protocol::{ChatMessage, ChatPart, ChatRole, ToolCall};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::exchange::error::Error;
use crate::protocols::openai::content;

/// A message.
#[derive(Deserialize)]
pub(super) struct CompletionMessage {
    id: Option<String>,
    role: CompletionRole,
    #[serde(default)]
    content: Value,
    name: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<MessageToolCall>>,
    tool_call_id: Option<String>,
    /// A call in the older form, which `tool_calls` replaces.
    function_call: Option<FunctionCall>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum CompletionRole {
    System,
    Developer,
    User,
    Assistant,
    Tool,
    /// The result of the function in `name`, in the older form that `tool` replaces.
    Function,
}

#[derive(Deserialize)]
struct MessageToolCall {
    id: String,
    function: FunctionCall,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Deserialize)]
struct FunctionCall {
    name: String,
    #[serde(default)]
    arguments: String,
}

impl CompletionMessage {
    /// Converts the message at index `at` of the request to a chat message.
    pub(super) fn into_chat(self, at: usize) -> Result<ChatMessage, Error> {
        let role = match self.role {
            CompletionRole::System => ChatRole::System,
            CompletionRole::Developer => ChatRole::Developer,
            CompletionRole::User => ChatRole::User,
            CompletionRole::Assistant => ChatRole::Assistant,
            CompletionRole::Tool | CompletionRole::Function => ChatRole::Tool,
        };
        let mut content = content::parts(self.content, &format!("messages[{at}].content"))?;
        content.extend(self.refusal.map(ChatPart::text));
        let mut message = ChatMessage::of_parts(role, content);
        message.id = self.id;
        // Calls of the older form have no id, so the function's name is used as the id.
        let function_call = self.function_call;
        let function_call =
            function_call.map(|call| ToolCall::new(call.name.clone(), call.name, call.arguments));
        let calls = self.tool_calls.into_iter().flatten().map(Into::into);
        message.tool_calls = calls.chain(function_call).collect();
        message.tool_call_id = match self.role {
            CompletionRole::Function => self.tool_call_id.or_else(|| self.name.clone()),
            _ => self.tool_call_id,
        };
        message.name = self.name;
        message.extra = self.extra;
        Ok(message)
    }
}

impl From<MessageToolCall> for ToolCall {
    fn from(call: MessageToolCall) -> Self {
        let mut tool_call = Self::new(call.id, call.function.name, call.function.arguments);
        tool_call.extra = call.extra;
        for name in ["type", "name", "arguments"] {
            tool_call.extra.remove(name);
        }
        tool_call
    }
}
