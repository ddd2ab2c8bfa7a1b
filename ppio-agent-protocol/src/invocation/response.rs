//! The response of an invocation.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::text;

/// The envelope around an agent's result.
///
/// Reading is lenient: any field may be missing, and without `status` the invocation failed if
/// there is an `error` and succeeded otherwise. `result`, `status`, `duration`, `metadata` and
/// `error` are always written, the other fields if they are set.
///
/// ```
/// use ppio_agent_protocol::InvocationResponse;
///
/// let text = r#"{"result": {"answer": 42}, "status": "success", "duration": 0.25}"#;
/// let response: InvocationResponse = serde_json::from_str(text)?;
/// assert!(response.is_success());
/// assert_eq!(response.result.unwrap()["answer"], 42);
///
/// let response: InvocationResponse<u32> = serde_json::from_str(r#"{"error": "Invalid JSON"}"#)?;
/// assert!(!response.is_success());
/// assert_eq!(response.error.as_deref(), Some("Invalid JSON"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    from = "ReceivedResponse<T>",
    bound(deserialize = "T: Deserialize<'de>")
)]
#[non_exhaustive]
pub struct InvocationResponse<T = Value> {
    /// The result; `null` on the wire if the invocation failed.
    pub result: Option<T>,
    /// Whether the invocation succeeded.
    pub status: InvocationStatus,
    /// How long the invocation took, in seconds.
    pub duration: f64,
    /// Data about the invocation, such as `request_id`.
    pub metadata: Option<Map<String, Value>>,
    /// The error's text.
    pub error: Option<String>,
    /// The name of the error's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// How long the agent processed the request, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_time: Option<f64>,
    /// How long the request waited in a queue, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_time: Option<f64>,
    /// The number of tokens that were used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_used: Option<u64>,
    /// The cost of the invocation, in a currency that the agent defines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Fields that this version does not define.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl<T> InvocationResponse<T> {
    /// Creates the response of a successful invocation.
    pub fn success(result: T) -> Self {
        Self {
            result: Some(result),
            ..Self::empty(InvocationStatus::Success)
        }
    }

    /// Creates the response of a failed invocation.
    pub fn failure(error: impl Into<String>) -> Self {
        Self {
            error: Some(error.into()),
            ..Self::empty(InvocationStatus::Error)
        }
    }

    /// Whether the status is [`InvocationStatus::Success`].
    pub fn is_success(&self) -> bool {
        self.status == InvocationStatus::Success
    }

    /// `metadata.request_id`, the id of the request in the agent's log.
    pub fn request_id(&self) -> Option<&str> {
        self.metadata.as_ref()?.get("request_id")?.as_str()
    }

    fn empty(status: InvocationStatus) -> Self {
        Self {
            result: None,
            status,
            duration: 0.0,
            metadata: None,
            error: None,
            error_type: None,
            processing_time: None,
            queue_time: None,
            tokens_used: None,
            cost: None,
            extra: Map::new(),
        }
    }
}

/// The status of an [`InvocationResponse`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum InvocationStatus {
    /// `success`
    #[default]
    Success,
    /// `error`
    Error,
    /// A status that this version does not define, which is not a success.
    Other(String),
}

impl InvocationStatus {
    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Other(status) => status,
        }
    }
}

impl fmt::Display for InvocationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for InvocationStatus {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "success" => Self::Success,
            "error" => Self::Error,
            other => Self::Other(other.to_owned()),
        })
    }
}

impl Serialize for InvocationStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for InvocationStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "a status such as \"success\"")
    }
}

/// The envelope as it is received: every field may be missing or `null`.
#[derive(Deserialize)]
struct ReceivedResponse<T> {
    // With a bare `default` serde requires `T: Default`.
    #[serde(default = "Option::default")]
    result: Option<T>,
    status: Option<InvocationStatus>,
    duration: Option<f64>,
    metadata: Option<Map<String, Value>>,
    error: Option<Value>,
    error_type: Option<String>,
    processing_time: Option<f64>,
    queue_time: Option<f64>,
    tokens_used: Option<u64>,
    cost: Option<f64>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl<T> From<ReceivedResponse<T>> for InvocationResponse<T> {
    fn from(received: ReceivedResponse<T>) -> Self {
        // Some services send an object where the contract defines a text.
        let error = received.error.map(|error| match error {
            Value::String(text) => text,
            other => other.to_string(),
        });
        let implied = if error.is_some() {
            InvocationStatus::Error
        } else {
            InvocationStatus::Success
        };
        Self {
            result: received.result,
            status: received.status.unwrap_or(implied),
            duration: received.duration.unwrap_or_default(),
            metadata: received.metadata,
            error,
            error_type: received.error_type,
            processing_time: received.processing_time,
            queue_time: received.queue_time,
            tokens_used: received.tokens_used,
            cost: received.cost,
            extra: received.extra,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> InvocationResponse {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn reads_responses_without_any_field() {
        assert_eq!(
            read(json!({})),
            InvocationResponse::empty(InvocationStatus::Success)
        );
        assert_eq!(
            read(json!({"result": null, "duration": null, "status": null})),
            read(json!({}))
        );
        assert_eq!(
            read(json!({"error": "no"})),
            InvocationResponse::failure("no")
        );
        assert_eq!(
            read(json!({"error": {"code": 1}})).error.as_deref(),
            Some(r#"{"code":1}"#)
        );
        let python = read(json!({
            "result": "hi", "status": "success", "duration": 0.001,
            "metadata": {"request_id": "r"}, "error": null,
        }));
        assert_eq!(python.request_id(), Some("r"));
        assert!(python.is_success());
    }

    #[test]
    fn keeps_an_unknown_status_which_is_not_a_success() {
        let response = read(json!({"status": "partial", "result": 1}));
        assert!(!response.is_success());
        assert_eq!(response.status.to_string(), "partial");
        assert_eq!(
            serde_json::to_value(&response).unwrap()["status"],
            "partial"
        );
    }

    #[test]
    fn always_writes_five_fields() {
        assert_eq!(
            serde_json::to_value(InvocationResponse::success(1)).unwrap(),
            json!({
                "result": 1, "status": "success", "duration": 0.0, "metadata": null, "error": null,
            })
        );
    }

    #[test]
    fn reads_and_writes_every_field() {
        let all = json!({
            "result": {"a": 1}, "status": "error", "duration": 1.5, "metadata": {"k": "v"},
            "error": "e", "error_type": "T", "processing_time": 0.5, "queue_time": 0.25,
            "tokens_used": 7, "cost": 0.002, "mine": [true],
        });
        assert_eq!(serde_json::to_value(read(all.clone())).unwrap(), all);
    }

    #[test]
    fn reads_a_result_of_any_type() {
        // Neither `Default` nor owned.
        #[derive(Debug, PartialEq, Deserialize)]
        struct Answer<'a> {
            text: &'a str,
        }
        let response: InvocationResponse<Answer<'_>> =
            serde_json::from_str(r#"{"result":{"text":"hi"},"unknown":1}"#).unwrap();
        assert_eq!(response.result, Some(Answer { text: "hi" }));
        assert!(serde_json::from_str::<InvocationResponse<u8>>(r#"{"result":"hi"}"#).is_err());
        assert!(serde_json::from_str::<InvocationResponse>("[]").is_err());
    }
}
