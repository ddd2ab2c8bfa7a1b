//! The request of an invocation.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The body of `POST /invocations`, for agents and callers that keep to the common fields.
///
/// An agent may take any JSON it likes; this type is the convention. Fields it does not know are kept in
/// [`extra`](Self::extra), and fields that are not set are not written.
///
/// ```
/// use ppio_agent_protocol::InvocationRequest;
///
/// let request = InvocationRequest::prompt("tell me a story").with_stream(true).with_user_id("u1");
/// assert_eq!(
///     serde_json::to_string(&request)?,
///     r#"{"prompt":"tell me a story","stream":true,"user_id":"u1"}"#,
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
// Not the text above, whose example is for Rust.
#[cfg_attr(
    feature = "schema",
    schemars(description = "The common fields of a request.")
)]
pub struct InvocationRequest {
    /// The question, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The question, as data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
    /// The sandbox that is asked, which is the session; usually filled in by the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_id: Option<String>,
    /// How long the caller is willing to wait, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Whether the answer should come item by item. Absent means `false`, and `false` is not written.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stream: bool,
    /// The most tokens a model may generate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// The sampling temperature for a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Whatever the caller wants to send along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// The end user on whose behalf the caller asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The caller's id for this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// How a streamed answer should look, as the agent defines it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<Map<String, Value>>,
    /// Every other field, kept as it came. A name that has a field above belongs there: here it would
    /// be written a second time.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl InvocationRequest {
    /// A question in words.
    pub fn prompt(prompt: impl Into<String>) -> Self {
        Self {
            prompt: Some(prompt.into()),
            ..Self::default()
        }
    }

    /// What a person typed on a command line: a JSON object goes as it is, any other text is a prompt.
    ///
    /// Only for text of the caller's own. Text of somebody else's belongs in [`prompt`](Self::prompt), or
    /// it could set `sandbox_id` and every other field.
    ///
    /// ```
    /// use ppio_agent_protocol::InvocationRequest;
    ///
    /// let request = InvocationRequest::from_text(r#"{"city": "Paris"}"#);
    /// assert_eq!(request.extra["city"], "Paris");
    /// assert_eq!(InvocationRequest::from_text("[1, 2]").prompt.as_deref(), Some("[1, 2]"));
    /// ```
    pub fn from_text(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(object) => Self::from_object(object),
            Err(_) => Self::prompt(text),
        }
    }

    /// Asks with data instead of words, or beside them.
    pub fn with_data(mut self, data: Map<String, Value>) -> Self {
        self.data = Some(data);
        self
    }

    /// Names the sandbox, which is the session.
    pub fn with_sandbox_id(mut self, sandbox_id: impl Into<String>) -> Self {
        self.sandbox_id = Some(sandbox_id.into());
        self
    }

    /// Says how long the caller is willing to wait, in seconds.
    pub fn with_timeout(mut self, seconds: u64) -> Self {
        self.timeout = Some(seconds);
        self
    }

    /// Asks for the answer item by item, or not.
    pub fn with_stream(mut self, stream: bool) -> Self {
        self.stream = stream;
        self
    }

    /// Names the end user.
    pub fn with_user_id(mut self, user_id: impl Into<String>) -> Self {
        self.user_id = Some(user_id.into());
        self
    }

    /// Names this request.
    pub fn with_request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = Some(request_id.into());
        self
    }

    /// Sends something along.
    pub fn with_metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// The session, which is the sandbox: an older name of [`sandbox_id`](Self::sandbox_id).
    pub fn session_id(&self) -> Option<&str> {
        self.sandbox_id.as_deref()
    }

    /// Known names with values of the right type become fields; all else stays as it is, so that what is
    /// written is what was given.
    fn from_object(mut object: Map<String, Value>) -> Self {
        Self {
            prompt: take(&mut object, "prompt"),
            data: take(&mut object, "data"),
            sandbox_id: take(&mut object, "sandbox_id"),
            timeout: take(&mut object, "timeout"),
            stream: take(&mut object, "stream").unwrap_or(false),
            max_tokens: take(&mut object, "max_tokens"),
            temperature: take(&mut object, "temperature"),
            metadata: take(&mut object, "metadata"),
            user_id: take(&mut object, "user_id"),
            request_id: take(&mut object, "request_id"),
            stream_options: take(&mut object, "stream_options"),
            extra: object,
        }
    }
}

/// The text as a prompt, whatever it looks like.
impl From<&str> for InvocationRequest {
    fn from(prompt: &str) -> Self {
        Self::prompt(prompt)
    }
}

/// The text as a prompt, whatever it looks like.
impl From<String> for InvocationRequest {
    fn from(prompt: String) -> Self {
        Self::prompt(prompt)
    }
}

/// An object goes as it is, a text is a prompt, and any other value is a prompt in its JSON form.
impl From<Value> for InvocationRequest {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(object) => Self::from_object(object),
            Value::String(prompt) => Self::prompt(prompt),
            other => Self::prompt(other.to_string()),
        }
    }
}

fn take<T: DeserializeOwned>(object: &mut Map<String, Value>, name: &str) -> Option<T> {
    let value = T::deserialize(object.get(name)?).ok()?;
    object.remove(name);
    Some(value)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writes_only_what_is_set() {
        assert_eq!(
            serde_json::to_value(InvocationRequest::default()).unwrap(),
            json!({})
        );
        assert_eq!(
            serde_json::to_value(InvocationRequest::from("hi")).unwrap(),
            json!({"prompt": "hi"})
        );
    }

    #[test]
    fn every_field_has_its_name_on_the_wire() {
        let all = json!({
            "prompt": "p", "data": {"a": 1}, "sandbox_id": "s", "timeout": 30, "stream": true,
            "max_tokens": 5, "temperature": 0.5, "metadata": {"m": null}, "user_id": "u",
            "request_id": "r", "stream_options": {"include_usage": true}, "mine": [1, {"x": "y"}],
        });
        let read: InvocationRequest = serde_json::from_value(all.clone()).unwrap();
        assert_eq!(read.session_id(), Some("s"));
        assert_eq!(read.extra.keys().collect::<Vec<_>>(), ["mine"]);
        assert_eq!(serde_json::to_value(&read).unwrap(), all);
        assert_eq!(InvocationRequest::from(all), read);
    }

    #[test]
    fn nulls_and_absent_fields_are_the_same() {
        let read: InvocationRequest =
            serde_json::from_str(r#"{"prompt":null,"timeout":null}"#).unwrap();
        assert_eq!(read, InvocationRequest::default());
    }

    #[test]
    fn refuses_what_does_not_fit() {
        for text in [
            "[]",
            "\"hi\"",
            "null",
            r#"{"prompt":5}"#,
            r#"{"timeout":-1}"#,
            r#"{"timeout":1.5}"#,
            r#"{"stream":"yes"}"#,
            r#"{"data":[1]}"#,
        ] {
            assert!(
                serde_json::from_str::<InvocationRequest>(text).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_value_goes_as_it_is() {
        for value in [
            json!({}),
            json!({"prompt": 5, "timeout": "soon", "data": []}),
            json!({"prompt": null}),
            json!({"messages": [{"role": "user"}]}),
            json!({"temperature": 0.25}),
        ] {
            let request = InvocationRequest::from(value.clone());
            assert_eq!(serde_json::to_value(&request).unwrap(), value);
        }
        for (value, prompt) in [
            (json!("hi"), "hi"),
            (json!(""), ""),
            (json!([1, "two"]), r#"[1,"two"]"#),
            (json!(null), "null"),
            (json!(1.5), "1.5"),
        ] {
            assert_eq!(
                InvocationRequest::from(value),
                InvocationRequest::prompt(prompt)
            );
        }
    }

    #[test]
    fn typed_text_is_an_object_or_a_prompt() {
        for text in [
            "",
            "hi",
            "{",
            "{\"a\":}",
            "\"quoted\"",
            "[1]",
            "42",
            "{} {}",
            "健康 \u{1f600}",
        ] {
            assert_eq!(
                InvocationRequest::from_text(text),
                InvocationRequest::prompt(text)
            );
        }
        let deep = "{\"a\":".repeat(10_000);
        assert_eq!(
            InvocationRequest::from_text(&deep),
            InvocationRequest::prompt(deep.as_str())
        );
        assert_eq!(
            InvocationRequest::from_text(" {\"prompt\": \"x\", \"k\": 1}\n").extra["k"],
            json!(1)
        );
        // A message from an end user must not be able to choose the session.
        let message = r#"{"sandbox_id":"someone else's"}"#;
        assert_eq!(InvocationRequest::from(message).session_id(), None);
    }
}
