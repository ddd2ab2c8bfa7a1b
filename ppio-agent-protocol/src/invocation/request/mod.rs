//! The request of an invocation.

mod invalid_field;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use self::invalid_field::InvalidField;
use crate::chat::{ChatMessage, ChatRole, ChatTool, InterruptResponse};

/// The body of `POST /invocations` with the conventional fields. An agent may accept any other
/// JSON.
///
/// Fields that this type does not define are kept in [`extra`](Self::extra). Fields that are not
/// set are not written.
///
/// ```
/// use ppio_agent_protocol::InvocationRequest;
///
/// let request = InvocationRequest::prompt("tell me a story")
///     .with_stream(true)
///     .with_user_id("u1");
/// assert_eq!(
///     serde_json::to_string(&request)?,
///     r#"{"prompt":"tell me a story","stream":true,"user_id":"u1"}"#,
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
// The description is not the text above, whose example is for Rust.
#[cfg_attr(
    feature = "schema",
    schemars(description = "The common fields of a request.")
)]
#[non_exhaustive]
pub struct InvocationRequest {
    /// The prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The messages of a chat, the newest last.
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub messages: Vec<ChatMessage>,
    /// The tools of the caller, which the agent's model may call.
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tools: Vec<ChatTool>,
    /// The state that the caller shares with the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
    /// The id of the chat, which stays the same over its requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// The responses to interrupts of the last answer.
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub resume: Vec<InterruptResponse>,
    /// Structured input, beside the prompt or instead of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
    /// The id of the sandbox, which is the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_id: Option<String>,
    /// The deadline of the invocation, its stream included, in seconds from its start. The timeouts
    /// that are configured in the client and in the agent hold as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Whether the response should be a stream; `false` if absent, and `false` is not written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// The largest number of tokens that a model may generate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// The sampling temperature of a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Data of the caller about the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// The id of the end user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The caller's id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Options of a streamed response, which the agent defines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<Map<String, Value>>,
    /// Fields that this version does not define. A name of a field above would be written twice.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
    /// A value that a setter could not take. Serializing the request returns its error.
    #[serde(skip_deserializing, skip_serializing_if = "InvalidField::is_none")]
    #[cfg_attr(feature = "schema", schemars(skip))]
    invalid: InvalidField,
}

impl InvocationRequest {
    /// Creates a request with a prompt.
    pub fn prompt(prompt: impl Into<String>) -> Self {
        Self {
            prompt: Some(prompt.into()),
            ..Self::default()
        }
    }

    /// Creates a request from the text of a command line: a JSON object is the request, and any
    /// other text is the prompt.
    ///
    /// Pass text of an end user to [`prompt`](Self::prompt) instead: as a JSON object it could set
    /// `sandbox_id` and every other field.
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

    /// Sets the structured input: any value that serializes to a JSON object.
    ///
    /// # Errors
    /// Serializing the request, and therefore an invocation with it, fails if the value does not
    /// serialize to an object. The same holds for [`with_metadata`](Self::with_metadata) and
    /// [`with_stream_options`](Self::with_stream_options).
    ///
    /// ```
    /// use ppio_agent_protocol::InvocationRequest;
    /// use serde_json::json;
    ///
    /// let request = InvocationRequest::prompt("analyse this")
    ///     .with_data(json!({"dataset": "sales_data.csv"}))
    ///     .with_timeout(300);
    /// assert_eq!(request.data.unwrap()["dataset"], "sales_data.csv");
    ///
    /// let request = InvocationRequest::default().with_data([1, 2]);
    /// let error = serde_json::to_string(&request).unwrap_err();
    /// assert_eq!(error.to_string(), "data: must serialize to a JSON object, not to an array");
    /// ```
    pub fn with_data(mut self, data: impl Serialize) -> Self {
        self.data = self.invalid.object("data", data);
        self
    }

    /// Creates a request from the messages of a chat. The prompt is the text of the user's last
    /// message.
    ///
    /// ```
    /// use ppio_agent_protocol::{ChatMessage, InvocationRequest};
    ///
    /// let request = InvocationRequest::of_messages(vec![
    ///     ChatMessage::user("Hi"),
    ///     ChatMessage::assistant("Hello, what can I do?"),
    ///     ChatMessage::user("Tell me a story."),
    /// ]);
    /// assert_eq!(request.prompt.as_deref(), Some("Tell me a story."));
    /// ```
    pub fn of_messages(messages: Vec<ChatMessage>) -> Self {
        let is_user = |message: &&ChatMessage| message.role == ChatRole::User;
        Self {
            prompt: messages.iter().rfind(is_user).map(ChatMessage::text),
            messages,
            ..Self::default()
        }
    }

    /// Sets the tools of the caller.
    pub fn with_tools(mut self, tools: Vec<ChatTool>) -> Self {
        self.tools = tools;
        self
    }

    /// Sets the state that the caller shares with the agent.
    pub fn with_state(mut self, state: impl Into<Value>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Sets the id of the chat.
    pub fn with_thread_id(mut self, thread_id: impl Into<String>) -> Self {
        self.thread_id = Some(thread_id.into());
        self
    }

    /// Sets the responses to interrupts.
    pub fn with_resume(mut self, resume: Vec<InterruptResponse>) -> Self {
        self.resume = resume;
        self
    }

    /// Sets the id of the sandbox, which is the session.
    pub fn with_sandbox_id(mut self, sandbox_id: impl Into<String>) -> Self {
        self.sandbox_id = Some(sandbox_id.into());
        self
    }

    /// Sets the deadline of the invocation, its stream included, in seconds from its start.
    pub fn with_timeout(mut self, seconds: u64) -> Self {
        self.timeout = Some(seconds);
        self
    }

    /// Sets whether the response should be a stream.
    pub fn with_stream(mut self, stream: bool) -> Self {
        self.stream = stream;
        self
    }

    /// Sets options of a streamed response: any value that serializes to a JSON object.
    pub fn with_stream_options(mut self, stream_options: impl Serialize) -> Self {
        self.stream_options = self.invalid.object("stream_options", stream_options);
        self
    }

    /// Sets the largest number of tokens that a model may generate.
    pub fn with_max_tokens(mut self, max_tokens: u64) -> Self {
        self.max_tokens = Some(max_tokens);
        self
    }

    /// Sets the sampling temperature of a model.
    pub fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Sets the id of the end user.
    pub fn with_user_id(mut self, user_id: impl Into<String>) -> Self {
        self.user_id = Some(user_id.into());
        self
    }

    /// Sets the id of the request.
    pub fn with_request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = Some(request_id.into());
        self
    }

    /// Sets data of the caller about the request: any value that serializes to a JSON object.
    pub fn with_metadata(mut self, metadata: impl Serialize) -> Self {
        self.metadata = self.invalid.object("metadata", metadata);
        self
    }

    /// Returns the id of the session, which is [`sandbox_id`](Self::sandbox_id).
    pub fn session_id(&self) -> Option<&str> {
        self.sandbox_id.as_deref()
    }

    /// Moves values of the right type to their fields. Every other value stays in `extra`, so that
    /// the object is written as it was given, except that `"stream": false` and empty lists are not
    /// written.
    fn from_object(mut object: Map<String, Value>) -> Self {
        Self {
            prompt: take(&mut object, "prompt"),
            messages: take(&mut object, "messages").unwrap_or_default(),
            tools: take(&mut object, "tools").unwrap_or_default(),
            state: take(&mut object, "state"),
            thread_id: take(&mut object, "thread_id"),
            resume: take(&mut object, "resume").unwrap_or_default(),
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
            invalid: InvalidField::default(),
        }
    }
}

/// Creates a request with the text as prompt, even if it is a JSON object.
impl From<&str> for InvocationRequest {
    fn from(prompt: &str) -> Self {
        Self::prompt(prompt)
    }
}

/// Creates a request with the text as prompt, even if it is a JSON object.
impl From<String> for InvocationRequest {
    fn from(prompt: String) -> Self {
        Self::prompt(prompt)
    }
}

/// An object is the request, a text is the prompt, and the JSON of any other value is the prompt.
impl From<Value> for InvocationRequest {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(object) => Self::from_object(object),
            Value::String(prompt) => Self::prompt(prompt),
            other => Self::prompt(other.to_string()),
        }
    }
}

/// Reads `null`, which some programs send for an empty list, as an empty list.
fn null_is_empty<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn take<T: DeserializeOwned>(object: &mut Map<String, Value>, name: &str) -> Option<T> {
    let value = T::deserialize(object.get(name)?).ok()?;
    object.remove(name);
    Some(value)
}

#[cfg(test)]
mod tests;
