//! The response of an invocation.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::de::Deserializer;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::text;

/// The name under which an [`InvocationResponse`] serializes, as a newtype struct. By this name,
/// the runtime recognizes that an agent returned an envelope; formats such as JSON do not write it.
#[doc(hidden)]
pub const ENVELOPE_NAME: &str = "$ppio::InvocationResponse";

/// The envelope around an agent's result.
///
/// An agent that returns an `InvocationResponse` fills the envelope of its response: the runtime
/// adds what the agent leaves out (`duration`, `processing_time`, `queue_time`,
/// `metadata.request_id`), and a caller that is sent bare values gets the `result`. With the status
/// `error` the response is a 500.
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
#[derive(Debug, Clone, PartialEq, Deserialize)]
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
    pub error_type: Option<String>,
    /// How long the agent processed the request, in seconds: `duration` without `queue_time`.
    pub processing_time: Option<f64>,
    /// How long the request waited in a queue, in seconds. In the runtime, synchronous functions
    /// wait for a thread.
    pub queue_time: Option<f64>,
    /// The number of tokens that were used.
    pub tokens_used: Option<u64>,
    /// The cost of the invocation, in a currency that the agent defines.
    pub cost: Option<f64>,
    /// Fields that this version does not define. Those with the name of a field above are not
    /// written.
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

    /// Returns `metadata.request_id`, the id of the request in the agent's log.
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

impl InvocationResponse {
    /// Reads the envelope of an agent that does not announce the format of its response. The value
    /// must be exactly an envelope: it has `result`, `status` and `duration`, no field that this
    /// type does not define, and every field has its type; the status is `success` without an
    /// `error`, or `error` with one.
    ///
    /// # Errors
    /// Any other value is returned as it is.
    ///
    /// ```
    /// use ppio_agent_protocol::InvocationResponse;
    /// use serde_json::json;
    ///
    /// let envelope = json!({"result": 1, "status": "success", "duration": 0.1, "error": null});
    /// assert!(InvocationResponse::from_exact(envelope).is_ok());
    ///
    /// let own = json!({"result": "report.pdf", "status": "completed", "duration": 12});
    /// assert_eq!(InvocationResponse::from_exact(own.clone()), Err(own));
    /// ```
    pub fn from_exact(mut value: Value) -> Result<Self, Value> {
        let Some(fields) = value.as_object_mut().filter(|fields| is_exact(fields)) else {
            return Err(value);
        };
        // Moved, because a result can be large.
        let result = fields.get_mut("result").map(Value::take);
        let Ok(response) = Self::deserialize(&value) else {
            value["result"] = result.unwrap_or_default();
            return Err(value);
        };
        Ok(Self {
            result: result.filter(|result| !result.is_null()),
            ..response
        })
    }
}

/// Whether an object is an envelope and nothing else.
fn is_exact(fields: &Map<String, Value>) -> bool {
    let is_seconds = |value: &Value| value.as_f64().is_some_and(|seconds| seconds >= 0.0);
    let has_its_type = |(name, value): (&String, &Value)| match name.as_str() {
        "result" | "status" | "error" => true,
        "duration" => is_seconds(value),
        "metadata" => value.is_null() || value.is_object(),
        "error_type" => value.is_null() || value.is_string(),
        "processing_time" | "queue_time" => value.is_null() || is_seconds(value),
        "tokens_used" => value.is_null() || value.is_u64(),
        "cost" => value.is_null() || value.is_number(),
        _ => false,
    };
    let error = fields.get("error").unwrap_or(&Value::Null);
    let is_outcome = match fields.get("status").and_then(Value::as_str) {
        Some("success") => error.is_null(),
        Some("error") => error.is_string(),
        _ => false,
    };
    is_outcome
        && fields.contains_key("result")
        && fields.contains_key("duration")
        && fields.iter().all(has_its_type)
}

impl<T: Serialize> Serialize for InvocationResponse<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(ENVELOPE_NAME, &Fields(self))
    }
}

/// The names of the fields of an [`InvocationResponse`].
const DEFINED_FIELDS: [&str; 10] = [
    "result",
    "status",
    "duration",
    "metadata",
    "error",
    "error_type",
    "processing_time",
    "queue_time",
    "tokens_used",
    "cost",
];

/// The envelope as an object.
struct Fields<'a, T>(&'a InvocationResponse<T>);

impl<T: Serialize> Serialize for Fields<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let response = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("result", &response.result)?;
        map.serialize_entry("status", &response.status)?;
        map.serialize_entry("duration", &response.duration)?;
        map.serialize_entry("metadata", &response.metadata)?;
        map.serialize_entry("error", &response.error)?;
        if let Some(error_type) = &response.error_type {
            map.serialize_entry("error_type", error_type)?;
        }
        if let Some(seconds) = &response.processing_time {
            map.serialize_entry("processing_time", seconds)?;
        }
        if let Some(seconds) = &response.queue_time {
            map.serialize_entry("queue_time", seconds)?;
        }
        if let Some(tokens_used) = &response.tokens_used {
            map.serialize_entry("tokens_used", tokens_used)?;
        }
        if let Some(cost) = &response.cost {
            map.serialize_entry("cost", cost)?;
        }
        for (name, value) in &response.extra {
            if !DEFINED_FIELDS.contains(&name.as_str()) {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
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
    /// Returns the text on the wire.
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
#[serde(expecting = "the envelope of a response")]
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
    fn without_a_header_only_an_exact_envelope_is_recognized() {
        for envelope in [
            json!({"result": "hi", "status": "success", "duration": 1}),
            json!({"result": null, "status": "success", "duration": 0.5, "metadata": null}),
            json!({
                "result": {"status": "completed"}, "status": "success", "duration": 0.001,
                "metadata": {"request_id": "r"}, "error": null,
            }),
            json!({
                "result": null, "status": "error", "duration": 0, "metadata": {}, "error": "no",
                "error_type": "T", "processing_time": 0.5, "queue_time": 0, "tokens_used": 7,
                "cost": 0.002,
            }),
        ] {
            assert_eq!(
                InvocationResponse::from_exact(envelope.clone()),
                Ok(read(envelope))
            );
        }
        let valid = json!({
            "result": 1, "status": "success", "duration": 0.1, "metadata": null, "error": null,
        });
        let with = |name: &str, value: Value| {
            let mut changed = valid.clone();
            changed[name] = value;
            changed
        };
        let without = |name: &str| {
            let mut changed = valid.clone();
            changed.as_object_mut().unwrap().remove(name);
            changed
        };
        for own in [
            json!(null),
            json!("success"),
            json!([1]),
            json!({}),
            json!({"status": "completed", "duration": 12, "result": "report.pdf"}),
            json!({"status": "success", "result": 1}),
            json!({"error": "no"}),
            without("result"),
            without("status"),
            without("duration"),
            with("status", json!("completed")),
            with("status", json!("Success")),
            with("status", json!(null)),
            with("status", json!("error")),
            with("error", json!("no")),
            with("error", json!({"code": 1})),
            with("duration", json!("12")),
            with("duration", json!(null)),
            with("duration", json!(-1)),
            with("metadata", json!([])),
            with("error_type", json!(5)),
            with("processing_time", json!("1")),
            with("queue_time", json!(-0.5)),
            with("tokens_used", json!(1.5)),
            with("cost", json!("free")),
            with("mine", json!(null)),
        ] {
            assert_eq!(InvocationResponse::from_exact(own.clone()), Err(own));
        }
    }

    #[test]
    fn reads_a_result_of_any_type() {
        // The type neither implements `Default` nor is owned.
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
