//! The messages that are sent and received.

use bytes::Bytes;

/// One message.
///
/// ```
/// use ppio_agent_websocket::WebSocketMessage;
///
/// assert_eq!(WebSocketMessage::from("hello").as_text(), Some("hello"));
/// assert_eq!(WebSocketMessage::from(vec![1, 2]).as_text(), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebSocketMessage {
    /// Text.
    Text(String),
    /// Any bytes.
    Binary(Bytes),
}

impl WebSocketMessage {
    /// Returns the text of a text message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Returns the content of a text or binary message.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.as_bytes().len()
    }
}

impl From<String> for WebSocketMessage {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for WebSocketMessage {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Bytes> for WebSocketMessage {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for WebSocketMessage {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}
