//! The messages of a chat.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::tool::ToolCall;

/// A message of a chat.
///
/// ```
/// use ppio_agent_protocol::ChatMessage;
///
/// let message: ChatMessage = serde_json::from_str(r#"{"role": "user", "content": "Hello"}"#)?;
/// assert_eq!(message, ChatMessage::user("Hello"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
// The description is not the text above, whose example is for Rust.
#[cfg_attr(feature = "schema", schemars(description = "A message of a chat."))]
#[non_exhaustive]
pub struct ChatMessage {
    /// The id of the message, where its protocol has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The author's role.
    pub role: ChatRole,
    /// The parts of the message: in JSON a text, or a list of parts.
    #[serde(
        default,
        serialize_with = "write_content",
        deserialize_with = "read_content",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Content"))]
    pub content: Vec<ChatPart>,
    /// The name of the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The tools that the assistant called.
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tool_calls: Vec<ToolCall>,
    /// The call that a message of a tool is the result of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Fields that this version does not define.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum ChatRole {
    /// Instructions of the application.
    System,
    /// Instructions of the application that come before those of the user.
    Developer,
    /// The user.
    User,
    /// The agent.
    Assistant,
    /// The result of a tool.
    Tool,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum ChatPart {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture, a sound or any other file: its address or its bytes.
    File {
        /// The media type, such as `image/png`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_type: Option<String>,
        /// The name of the file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Where the file is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// The bytes in Base64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<String>,
    },
    /// Data.
    Data {
        /// The data.
        data: Value,
    },
    /// A part of another kind, as it was sent.
    #[serde(untagged)]
    Other(Value),
}

impl ChatMessage {
    /// Creates a message of one text.
    pub fn new(role: ChatRole, text: impl Into<String>) -> Self {
        Self::of_parts(role, vec![ChatPart::text(text)])
    }

    /// Creates a message of parts.
    pub fn of_parts(role: ChatRole, content: Vec<ChatPart>) -> Self {
        Self {
            id: None,
            role,
            content,
            name: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            extra: Map::new(),
        }
    }

    /// Creates a message of the user.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(ChatRole::User, text)
    }

    /// Creates a message of the agent.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(ChatRole::Assistant, text)
    }

    /// Creates a message with instructions of the application.
    pub fn system(text: impl Into<String>) -> Self {
        Self::new(ChatRole::System, text)
    }

    /// Creates a message with the result of a tool.
    pub fn tool(call_id: impl Into<String>, result: impl Into<String>) -> Self {
        Self {
            tool_call_id: Some(call_id.into()),
            ..Self::new(ChatRole::Tool, result)
        }
    }

    /// Returns the text of all parts that are text, one after the other.
    pub fn text(&self) -> String {
        self.content.iter().filter_map(ChatPart::as_text).collect()
    }
}

impl ChatPart {
    /// Creates a part that is text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// Returns the text, if the part is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { text } => Some(text),
            _ => None,
        }
    }
}

/// The content as other programs write it.
#[derive(Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
enum Content {
    Text(String),
    Parts(Vec<ChatPart>),
}

fn read_content<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ChatPart>, D::Error> {
    Ok(match Option::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Content::Text(text)) => vec![ChatPart::Text { text }],
        Some(Content::Parts(parts)) => parts,
    })
}

fn write_content<S: Serializer>(content: &[ChatPart], serializer: S) -> Result<S::Ok, S::Error> {
    match content {
        [ChatPart::Text { text }] => serializer.serialize_str(text),
        parts => parts.serialize(serializer),
    }
}

/// Reads `null`, which some programs send for an empty list, as an empty list.
fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ToolCall>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn content_is_a_text_or_a_list_of_parts() {
        let read = |json: Value| serde_json::from_value::<ChatMessage>(json).unwrap();
        let image = json!({"type": "image_url", "image_url": {"url": "https://a.example/b.png"}});
        let parts = read(json!({
            "role": "user",
            "content": [{"type": "text", "text": "What is "}, image, {"type": "text", "text": "this?"}],
        }));
        assert_eq!(parts.text(), "What is this?");
        assert_eq!(parts.content[1], ChatPart::Other(image));
        assert_eq!(
            read(json!({"role": "assistant", "content": null})).content,
            []
        );
        assert_eq!(
            read(json!({"role": "assistant", "tool_calls": null})).content,
            []
        );
        for message in [
            ChatMessage::user("hi"),
            ChatMessage::tool("c1", "20"),
            parts,
        ] {
            assert_eq!(read(serde_json::to_value(&message).unwrap()), message);
        }
    }
}
