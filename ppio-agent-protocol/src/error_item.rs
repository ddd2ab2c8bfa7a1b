//! The error item of a stream.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The `error_type` of the platform's response for a sandbox whose start command has ended and in
/// which nothing else runs: no port will open, so waiting for the agent is useless.
pub const START_COMMAND_ENDED: &str = "StartCommandEnded";

/// The `error_type` of an agent's response to a request that is sent again and may have run before,
/// in this agent or in one that it replaced: the agent has no record of it.
pub const AGENT_RESTARTED: &str = "AgentRestarted";

/// The item that ends a stream after an error.
///
/// ```
/// use ppio_agent_protocol::ErrorItem;
/// use serde_json::json;
///
/// let item = json!({"error": "no such model", "error_type": "ModelError"});
/// assert_eq!(ErrorItem::from_value(&item).unwrap().error, "no such model");
///
/// // An item with other fields beside `error` is not an error.
/// assert!(ErrorItem::from_value(&json!({"error": "0.02", "measured": true})).is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorItem {
    /// The error's text.
    pub error: String,
    /// The name of the error's type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// A longer text, which agents of Amazon Bedrock `AgentCore` send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The id of the request in the agent's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl ErrorItem {
    /// Creates an error item with a text.
    pub fn new(error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            ..Self::default()
        }
    }

    /// Sets the name of the error's type.
    pub fn with_type(mut self, error_type: impl Into<String>) -> Self {
        self.error_type = Some(error_type.into());
        self
    }

    /// Sets the longer text.
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Sets the id of the request.
    pub fn with_request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = Some(request_id.into());
        self
    }

    /// Returns the item as an error if the item is an error: an object whose `error` is a text,
    /// without keys other than the fields of this type. The PPIO Python runtime sends `error`
    /// alone.
    pub fn from_value(item: &Value) -> Option<Self> {
        let fields = item.as_object()?;
        let known = |key: &String| {
            matches!(
                key.as_str(),
                "error" | "error_type" | "message" | "request_id"
            )
        };
        if !fields.keys().all(known) {
            return None;
        }
        // An object whose field has another type (`error: 5`) is not an error either.
        Self::deserialize(item).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn distinguishes_errors_from_items() {
        for item in [
            json!({"error": "e"}),
            json!({"error": ""}),
            json!({"error": "e", "error_type": "T", "message": "m"}),
            json!({"error": "e", "request_id": "r", "message": null}),
        ] {
            assert!(ErrorItem::from_value(&item).is_some(), "{item}");
        }
        for item in [
            json!(null),
            json!("error"),
            json!(["error"]),
            json!({}),
            json!({"error": null}),
            json!({"error": 5}),
            json!({"error": {"message": "m"}}),
            json!({"error": "e", "message": 1}),
            json!({"error": "e", "score": 1}),
            json!({"message": "m", "error_type": "T"}),
            json!({"Error": "e"}),
        ] {
            assert!(ErrorItem::from_value(&item).is_none(), "{item}");
        }
    }

    #[test]
    fn written_errors_are_read() {
        let item = ErrorItem::new("no")
            .with_type("Refused")
            .with_message("not today")
            .with_request_id("r-1");
        let value = serde_json::to_value(&item).unwrap();
        assert_eq!(
            value,
            json!({
                "error": "no", "error_type": "Refused", "message": "not today", "request_id": "r-1",
            })
        );
        assert_eq!(ErrorItem::from_value(&value), Some(item));
    }
}
