//! A caller's message, and its conversion to a request to the agent.

use ppio_agent_protocol::{ChatMessage, ChatPart, ChatRole, InterruptResponse, InvocationRequest};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::failure::{A2aError, A2aErrorKind};
use super::wire::Version;

/// The parameters of a call that sends a message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SendParams {
    message: WireMessage,
    #[serde(default)]
    configuration: Configuration,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Configuration {
    /// Whether the call returns before the end of the task, in version 1.0.
    return_immediately: bool,
    /// Whether the call waits for the end of the task, in version 0.3.
    blocking: Option<bool>,
    history_length: Option<usize>,
    task_push_notification_config: Option<Value>,
    /// The configuration of push notifications, in version 0.3.
    push_notification_config: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMessage {
    message_id: String,
    role: String,
    #[serde(default)]
    parts: Vec<InPart>,
    context_id: Option<String>,
    task_id: Option<String>,
    /// All other members, such as `metadata`, `extensions` and `referenceTaskIds`.
    #[serde(flatten)]
    extra: Map<String, Value>,
}

/// A part of a message, in either version.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InPart {
    text: Option<String>,
    data: Option<Value>,
    raw: Option<String>,
    url: Option<String>,
    filename: Option<String>,
    media_type: Option<String>,
    /// The file of a part of version 0.3.
    file: Option<InFile>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InFile {
    name: Option<String>,
    mime_type: Option<String>,
    bytes: Option<String>,
    uri: Option<String>,
}

/// A valid message of a caller, with the options of its call.
pub(super) struct Sent {
    pub(super) message: ChatMessage,
    pub(super) context: Option<String>,
    /// The task that the message continues.
    pub(super) task: Option<String>,
    /// Whether the task is returned in its current state, without waiting for its end.
    pub(super) returns_immediately: bool,
    pub(super) history_length: Option<usize>,
    /// The version of the call.
    pub(super) version: Version,
    /// The configuration of push notifications for the task.
    pub(super) push: Option<Value>,
    metadata: Option<Map<String, Value>>,
}

impl Sent {
    pub(super) fn of(params: Value, version: Version) -> Result<Self, A2aError> {
        let invalid = |error: serde_json::Error| {
            A2aError::new(
                A2aErrorKind::InvalidParams,
                format!("the message is not valid: {error}"),
            )
        };
        let params: SendParams = serde_json::from_value(params).map_err(invalid)?;
        let configuration = params.configuration;
        let wire = params.message;
        let role = match wire.role.as_str() {
            "user" | "ROLE_USER" => ChatRole::User,
            other => {
                let user = match version {
                    Version::V0_3 => "user",
                    Version::V1 => "ROLE_USER",
                };
                let message = format!("a message of role {other:?} cannot be sent; send `{user}`");
                return Err(A2aError::new(A2aErrorKind::InvalidParams, message));
            }
        };
        if wire.parts.is_empty() {
            let message = "the message has no parts; send at least one";
            return Err(A2aError::new(A2aErrorKind::InvalidParams, message));
        }
        let parts: Result<Vec<_>, _> = wire.parts.into_iter().map(InPart::into_part).collect();
        let mut message = ChatMessage::of_parts(role, parts?);
        message.id = Some(wire.message_id);
        message.extra = wire.extra;
        // In version 0.3, `kind` is the type of the object, so it is not kept as an additional
        // member.
        message.extra.remove("kind");
        Ok(Self {
            message,
            context: wire.context_id.filter(|id| !id.is_empty()),
            task: wire.task_id.filter(|id| !id.is_empty()),
            returns_immediately: configuration.return_immediately
                || configuration.blocking == Some(false),
            history_length: configuration.history_length,
            version,
            push: configuration
                .task_push_notification_config
                .or(configuration.push_notification_config),
            metadata: params.metadata,
        })
    }

    /// Returns the request for the agent. A message that continues a task answers the task's
    /// interrupt, and follows those earlier messages of the task that were kept.
    pub(super) fn request(
        &self,
        context: &str,
        earlier: &[ChatMessage],
        interrupt: Option<String>,
        stream: bool,
    ) -> InvocationRequest {
        let data = self.message.content.iter().find_map(|part| match part {
            ChatPart::Data { data } => Some(data.clone()),
            _ => None,
        });
        let payload = data.clone().unwrap_or_else(|| self.message.text().into());
        let resume = interrupt.map(|id| InterruptResponse::resolved(id, payload));
        let mut messages = earlier.to_vec();
        messages.push(self.message.clone());
        let mut request = InvocationRequest::of_messages(messages)
            .with_thread_id(context)
            .with_stream(stream)
            .with_resume(resume.into_iter().collect());
        if let Some(Value::Object(data)) = data {
            request = request.with_data(data);
        }
        request.metadata.clone_from(&self.metadata);
        request
    }
}

impl InPart {
    fn into_part(self) -> Result<ChatPart, A2aError> {
        if let Some(text) = self.text {
            return Ok(ChatPart::text(text));
        }
        if let Some(data) = self.data {
            return Ok(ChatPart::Data { data });
        }
        let (media_type, name, url, data) = match self.file {
            Some(file) => (file.mime_type, file.name, file.uri, file.bytes),
            None => (self.media_type, self.filename, self.url, self.raw),
        };
        if url.is_none() && data.is_none() {
            let message = "a part of the message is empty; send text, data, a url or raw bytes";
            return Err(A2aError::new(A2aErrorKind::InvalidParams, message));
        }
        Ok(ChatPart::File {
            media_type,
            name,
            url,
            data,
        })
    }
}
