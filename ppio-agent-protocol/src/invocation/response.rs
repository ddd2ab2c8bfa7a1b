//! The answer of an invocation.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::text;

/// The envelope around an agent's answer.
///
/// Reading is lenient: whatever is missing is empty, and an envelope without `status` succeeded unless it
/// holds an `error`. Writing puts the five fields every reader expects, and the others where they are set.
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
#[serde(from = "Received<T>", bound(deserialize = "T: Deserialize<'de>"))]
pub struct InvocationResponse<T = Value> {
    /// What the agent answered; `null` on the wire if it failed.
    pub result: Option<T>,
    /// Whether it succeeded.
    pub status: InvocationStatus,
    /// How long it took, in seconds.
    pub duration: f64,
    /// Facts about the invocation, such as `request_id`.
    pub metadata: Option<Map<String, Value>>,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// What went wrong, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// How long the agent itself took, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_time: Option<f64>,
    /// How long the request waited for its turn, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_time: Option<f64>,
    /// How many tokens were used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_used: Option<u64>,
    /// What it cost, in the agent's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Every other field, kept as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl<T> InvocationResponse<T> {
    /// An answer, in an envelope that says success.
    pub fn success(result: T) -> Self {
        Self {
            result: Some(result),
            ..Self::empty(InvocationStatus::Success)
        }
    }

    /// An error, in an envelope that says so.
    pub fn failure(error: impl Into<String>) -> Self {
        Self {
            error: Some(error.into()),
            ..Self::empty(InvocationStatus::Error)
        }
    }

    /// Whether the agent says that it succeeded.
    pub fn is_success(&self) -> bool {
        self.status == InvocationStatus::Success
    }

    /// `metadata.request_id`, which finds the invocation in the agent's log.
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

/// The `status` of an [`InvocationResponse`]. A word this version does not know is kept, and is no success.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum InvocationStatus {
    /// `success`
    #[default]
    Success,
    /// `error`
    Error,
    /// Anything else, as it came.
    Other(String),
}

impl InvocationStatus {
    /// The exact text on the wire.
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

/// The envelope as it may arrive: everything can be missing or `null`.
#[derive(Deserialize)]
struct Received<T> {
    // Spelled out, or serde would ask for `T: Default`.
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

impl<T> From<Received<T>> for InvocationResponse<T> {
    fn from(received: Received<T>) -> Self {
        // Some services put an object where the contract has a text; its JSON is better than nothing.
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
    fn reads_whatever_is_missing() {
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
    fn an_unknown_status_is_kept_and_is_no_success() {
        let response = read(json!({"status": "partial", "result": 1}));
        assert!(!response.is_success());
        assert_eq!(response.status.to_string(), "partial");
        assert_eq!(
            serde_json::to_value(&response).unwrap()["status"],
            "partial"
        );
    }

    #[test]
    fn writes_the_fields_every_reader_expects() {
        assert_eq!(
            serde_json::to_value(InvocationResponse::success(1)).unwrap(),
            json!({"result": 1, "status": "success", "duration": 0.0, "metadata": null, "error": null})
        );
    }

    #[test]
    fn every_field_has_its_name_on_the_wire() {
        let all = json!({
            "result": {"a": 1}, "status": "error", "duration": 1.5, "metadata": {"k": "v"},
            "error": "e", "error_type": "T", "processing_time": 0.5, "queue_time": 0.25,
            "tokens_used": 7, "cost": 0.002, "mine": [true],
        });
        assert_eq!(serde_json::to_value(read(all.clone())).unwrap(), all);
    }

    #[test]
    fn a_result_of_the_callers_own_type() {
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
