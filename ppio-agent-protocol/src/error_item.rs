//! The last item of a stream that failed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The item that ends a stream in which something went wrong.
///
/// ```
/// use ppio_agent_protocol::ErrorItem;
/// use serde_json::json;
///
/// let item = ErrorItem::from_value(&json!({"error": "model is gone", "error_type": "ModelError"}));
/// assert_eq!(item.unwrap().error, "model is gone");
///
/// // An answer that merely has a field of that name is an answer.
/// assert!(ErrorItem::from_value(&json!({"error": "0.02", "measured": true})).is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ErrorItem {
    /// What went wrong, for people.
    pub error: String,
    /// What went wrong, for programs: the name of the error's type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// A longer text, as `AgentCore` agents send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The request that failed, to find it in the agent's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl ErrorItem {
    /// An error with its text.
    pub fn new(error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            ..Self::default()
        }
    }

    /// Names the error's type.
    pub fn with_type(mut self, error_type: impl Into<String>) -> Self {
        self.error_type = Some(error_type.into());
        self
    }

    /// The error that a stream's item stands for, if it stands for one: an object whose `error` is a text
    /// and which has no keys but those of this type. The PPIO Python runtime sends `error` alone.
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
        // Borrowing deserializer: a wrong type (`error: 5`) is an item, not an error.
        Self::deserialize(item).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tells_errors_from_items() {
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
    fn what_is_written_is_read() {
        let item = ErrorItem::new("no").with_type("Refused");
        let value = serde_json::to_value(&item).unwrap();
        assert_eq!(value, json!({"error": "no", "error_type": "Refused"}));
        assert_eq!(ErrorItem::from_value(&value), Some(item));
    }
}
