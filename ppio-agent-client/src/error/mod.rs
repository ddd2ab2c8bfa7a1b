//! The error type of every call.

mod network;
mod questions;
mod report;

use std::time::Duration;

use ppio_agent_protocol::ByteSize;

pub use network::{NetworkError, NetworkErrorKind};
pub use report::ErrorReport;

/// Why a call to an agent or to the platform failed.
///
/// For sessions and sandboxes, the variant identifies the operation that failed, and
/// [`root`](Self::root) returns the cause.
/// A failure of creating a session is [`SandboxCreation`](Self::SandboxCreation), with the cause as
/// its source, or [`Validation`](Self::Validation) for an invalid argument. A failure of an
/// operation that a session or [`Envd`](crate::platform::Envd) makes on its sandbox is
/// [`SandboxOperation`](Self::SandboxOperation), with the cause as its source, or
/// [`SessionNotFound`](Self::SessionNotFound) if the sandbox is gone.
/// [`is_network`](Self::is_network), [`is_rate_limit`](Self::is_rate_limit) and similar methods
/// check the root.
///
/// The text of an error does not repeat its [source](std::error::Error::source);
/// [`report`](Self::report) displays both.
///
/// This loop repeats a call whichever step failed, even if the agent may have been invoked before
/// its connection broke:
///
/// ```
/// # use std::time::Duration;
/// # ppio_test_support::client_example!(async |client| {
/// let mut attempt = 0;
/// let response = loop {
///     attempt += 1;
///     let pause = Duration::from_secs(1 << attempt);
///     match client.invoke_agent("tmpl_1", "hi").await {
///         Err(error) if attempt < 3 && error.is_rate_limit() => {
///             tokio::time::sleep(error.retry_after().unwrap_or(pause)).await;
///         }
///         Err(error) if attempt < 3 && error.is_network() => tokio::time::sleep(pause).await,
///         outcome => break outcome?,
///     }
/// };
/// # Ok(()) });
/// ```
///
/// [`is_retryable`](Self::is_retryable) is `false` for such a broken connection: it is meant for
/// callers that must not do any work twice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument, a configuration field or an environment variable is invalid, and nothing was
    /// sent; or the `agent.yaml` in a template's metadata is invalid.
    #[error("invalid {field}: {message}")]
    Validation {
        /// The argument, configuration field or environment variable.
        field: String,
        /// What is invalid, and what is valid.
        message: String,
    },

    /// Any failure without a variant of its own: the platform or a service in the sandbox failed,
    /// or the agent cannot do what the call requires, such as keeping a run.
    #[error("{operation}: {message}{}", status_suffix(*.status))]
    Runtime {
        /// The operation that failed.
        operation: String,
        /// The HTTP status of the response, if there was one.
        status: Option<u16>,
        /// The error text of the response, or what happened.
        message: String,
    },

    /// A response breaks the protocol.
    #[error("{operation}: {message}")]
    Protocol {
        /// The operation that failed.
        operation: String,
        /// How the response differs from what the protocol defines.
        message: String,
    },

    /// The API key or the access token is missing, malformed or of another vendor, or the platform
    /// or the agent rejects it.
    #[error("authentication failed: {message}")]
    Authentication {
        /// The HTTP status; `None` if nothing was sent.
        status: Option<u16>,
        /// The error text of the response, or why nothing was sent.
        message: String,
    },

    /// The template does not exist or is not visible to this API key.
    #[error("template {template:?} not found")]
    TemplateNotFound {
        /// The requested template id, alias or name.
        template: String,
        /// The HTTP status; `None` if the template is missing from the list of all templates.
        status: Option<u16>,
    },

    /// A session could not be created, for any reason but an invalid argument. Its sandbox, if one
    /// was created, is killed.
    #[error("cannot create a session from template {template:?}")]
    SandboxCreation {
        /// The template id or alias.
        template: String,
        /// The sandbox that was created and then killed, if there was one.
        sandbox_id: Option<String>,
        /// The cause.
        source: Box<Error>,
    },

    /// The sandbox does not exist: it was closed, has expired, or never existed.
    #[error("session {sandbox_id:?} not found: it was closed, has expired or never existed")]
    SessionNotFound {
        /// The sandbox id, which is the session id.
        sandbox_id: String,
        /// The HTTP status; `None` if nothing was sent, because the client closed the session
        /// before or an earlier response showed that the sandbox is gone.
        status: Option<u16>,
    },

    /// The agent returned an error.
    #[error("the agent failed: {message}{}", status_suffix(*.status))]
    Invocation {
        /// The sandbox that the agent runs in.
        sandbox_id: String,
        /// The HTTP status; `None` for an error item or the end event of a stream.
        status: Option<u16>,
        /// The agent's name for the kind of error, if it sent one.
        error_type: Option<String>,
        /// The error text that the agent sent.
        message: String,
        /// The request id, under which the agent logged the call.
        request_id: Option<String>,
    },

    /// The connection could not be established, or broke. [`NetworkError::may_have_arrived`]
    /// returns whether the server may have received the request.
    #[error("{operation}: the connection failed")]
    Network {
        /// The operation that failed.
        operation: String,
        /// What happened to the connection.
        source: NetworkError,
    },

    /// The deadline passed. It covers all attempts together.
    #[error("{operation}: no response within {limit:?}")]
    Timeout {
        /// The operation that failed.
        operation: String,
        /// The time that was allowed.
        limit: Duration,
    },

    /// An open stream received nothing, not even a heartbeat, for too long.
    #[error("no data on the agent's stream for {limit:?}")]
    StreamIdle {
        /// The longest time allowed without data, [`ClientConfig::stream_idle_timeout`].
        ///
        /// [`ClientConfig::stream_idle_timeout`]: crate::ClientConfig::stream_idle_timeout
        limit: Duration,
    },

    /// A response, a list, an item of a stream or the output of a process exceeds the size limit.
    /// None of it is returned.
    #[error("{operation}: {what} is larger than {limit}{}", setting_suffix(*.setting))]
    ResponseTooLarge {
        /// The operation that failed.
        operation: String,
        /// What is too large, such as `the response`.
        what: String,
        /// The limit.
        limit: ByteSize,
        /// The field of [`ClientConfig`] and the environment variable that set the limit. `None`
        /// for responses of the control plane and responses to pings, whose limits are fixed.
        ///
        /// [`ClientConfig`]: crate::ClientConfig
        setting: Option<&'static str>,
    },

    /// The platform or the agent received too many requests (429). If the call is retried after
    /// this status, no retry is left, or the next pause would outlast the deadline.
    #[error("rate limited: {message}")]
    RateLimit {
        /// The error text of the response.
        message: String,
        /// The pause that the response requests.
        retry_after: Option<Duration>,
    },

    /// The account has no permission or no quota left, or a service in the sandbox rejects the call
    /// (403).
    #[error("quota exceeded or not allowed: {message}")]
    QuotaExceeded {
        /// The error text of the response.
        message: String,
    },

    /// An operation on a sandbox failed.
    #[error("cannot {operation} sandbox {sandbox_id:?}")]
    SandboxOperation {
        /// The operation that failed: `pause`, `resume`, `close`, …
        operation: String,
        /// The sandbox.
        sandbox_id: String,
        /// The cause.
        source: Box<Error>,
    },
}

impl Error {
    /// A stable name of the variant, for logs and metrics.
    ///
    /// ```
    /// let message = "too many sandboxes".to_owned();
    /// let error = ppio_agent_client::Error::QuotaExceeded { message };
    /// assert_eq!(error.code(), "quota_exceeded");
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Validation { .. } => "validation",
            Self::Runtime { .. } => "runtime",
            Self::Protocol { .. } => "protocol",
            Self::Authentication { .. } => "authentication",
            Self::TemplateNotFound { .. } => "template_not_found",
            Self::SandboxCreation { .. } => "sandbox_creation",
            Self::SessionNotFound { .. } => "session_not_found",
            Self::Invocation { .. } => "invocation",
            Self::Network { .. } => "network",
            Self::Timeout { .. } => "timeout",
            Self::StreamIdle { .. } => "stream_idle",
            Self::ResponseTooLarge { .. } => "response_too_large",
            Self::RateLimit { .. } => "rate_limit",
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::SandboxOperation { .. } => "sandbox_operation",
        }
    }

    /// The HTTP status of the response behind the error; `None` if there was no response, or its
    /// status is not the cause of the error.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Runtime { status, .. }
            | Self::Authentication { status, .. }
            | Self::TemplateNotFound { status, .. }
            | Self::SessionNotFound { status, .. }
            | Self::Invocation { status, .. } => *status,
            Self::RateLimit { .. } => Some(429),
            Self::QuotaExceeded { .. } => Some(403),
            Self::SandboxCreation { source, .. } | Self::SandboxOperation { source, .. } => {
                source.status()
            }
            Self::Validation { .. }
            | Self::Protocol { .. }
            | Self::Network { .. }
            | Self::Timeout { .. }
            | Self::StreamIdle { .. }
            | Self::ResponseTooLarge { .. } => None,
        }
    }

    /// Whether the same call can succeed when repeated **and** cannot do its work twice.
    ///
    /// An invocation that may have reached the agent is therefore not retryable, however its
    /// connection ended; only the caller can decide to repeat it.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimit { .. } => true,
            Self::Network { source, .. } => !source.may_have_arrived(),
            // A server sends 503 before it does any work: it is shutting down, or over its
            // concurrency limit.
            Self::Invocation { status, .. } | Self::Runtime { status, .. } => *status == Some(503),
            // The sandbox of a failed creation is killed, so another attempt does no work twice.
            Self::SandboxCreation { source, .. } => match &**source {
                Self::Network { .. } | Self::Timeout { .. } => true,
                Self::Runtime { status, .. } => status.is_some_and(|status| status >= 500),
                other => other.is_retryable(),
            },
            Self::SandboxOperation { source, .. } => source.is_retryable(),
            Self::Validation { .. }
            | Self::Protocol { .. }
            | Self::Authentication { .. }
            | Self::TemplateNotFound { .. }
            | Self::SessionNotFound { .. }
            | Self::Timeout { .. }
            | Self::StreamIdle { .. }
            | Self::ResponseTooLarge { .. }
            | Self::QuotaExceeded { .. } => false,
        }
    }

    /// Returns a value that displays the error and its causes in one line.
    ///
    /// ```no_run
    /// # let client = ppio_agent_client::AgentRuntimeClient::from_env()?;
    /// # async {
    /// if let Err(error) = client.close().await {
    ///     eprintln!("error: {}", error.report());
    /// }
    /// # };
    /// # Ok::<(), ppio_agent_client::Error>(())
    /// ```
    pub fn report(&self) -> ErrorReport<'_> {
        ErrorReport::new(self)
    }

    /// Applies `edit` to every text that may quote what was sent or received.
    pub(crate) fn map_texts(mut self, edit: &impl Fn(&mut String)) -> Self {
        self.edit_texts(edit);
        self
    }

    fn edit_texts(&mut self, edit: &impl Fn(&mut String)) {
        match self {
            Self::Validation { message, .. }
            | Self::Runtime { message, .. }
            | Self::Protocol { message, .. }
            | Self::Authentication { message, .. }
            | Self::RateLimit { message, .. }
            | Self::QuotaExceeded { message } => edit(message),
            Self::Invocation {
                message,
                error_type,
                request_id,
                ..
            } => {
                edit(message);
                error_type.iter_mut().chain(request_id).for_each(edit);
            }
            Self::SandboxCreation { source, .. } | Self::SandboxOperation { source, .. } => {
                source.edit_texts(edit);
            }
            // The texts of these variants come from the caller and from the operating system.
            Self::TemplateNotFound { .. }
            | Self::SessionNotFound { .. }
            | Self::Network { .. }
            | Self::Timeout { .. }
            | Self::StreamIdle { .. }
            | Self::ResponseTooLarge { .. } => {}
        }
    }

    pub(crate) fn validation(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Validation {
            field: field.into(),
            message: message.into(),
        }
    }

    /// Creates a [`Runtime`](Self::Runtime) error without an HTTP status.
    pub(crate) fn runtime(operation: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Runtime {
            operation: operation.into(),
            status: None,
            message: message.into(),
        }
    }

    /// Creates a [`Protocol`](Self::Protocol) error.
    pub(crate) fn protocol(operation: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Protocol {
            operation: operation.into(),
            message: message.into(),
        }
    }

    /// Wraps the error in [`SandboxOperation`](Self::SandboxOperation), unless it is wrapped
    /// already or is a [`SessionNotFound`](Self::SessionNotFound), which names the sandbox itself.
    pub(crate) fn with_operation(self, operation: &str, sandbox_id: &str) -> Self {
        match self {
            Self::SessionNotFound { .. } | Self::SandboxOperation { .. } => self,
            source => Self::SandboxOperation {
                operation: operation.to_owned(),
                sandbox_id: sandbox_id.to_owned(),
                source: Box::new(source),
            },
        }
    }

    /// Wraps the error in [`SandboxCreation`](Self::SandboxCreation), unless it is wrapped already
    /// or is a [`Validation`](Self::Validation) error.
    pub(crate) fn while_creating(self, template: &str, sandbox_id: Option<&str>) -> Self {
        match self {
            Self::Validation { .. } | Self::SandboxCreation { .. } => self,
            source => Self::SandboxCreation {
                template: template.to_owned(),
                sandbox_id: sandbox_id.map(str::to_owned),
                source: Box::new(source),
            },
        }
    }
}

fn status_suffix(status: Option<u16>) -> String {
    status.map_or_else(String::new, |status| format!(" (HTTP {status})"))
}

fn setting_suffix(setting: Option<&str>) -> String {
    setting.map_or_else(String::new, |setting| {
        format!(" (set {setting} to change this)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(kind: NetworkErrorKind) -> Error {
        Error::Network {
            operation: "invoke".into(),
            source: NetworkError::new(kind, "host", "broken pipe"),
        }
    }

    #[test]
    fn only_a_request_that_cannot_have_arrived_is_retryable() {
        assert!(network(NetworkErrorKind::Connect).is_retryable());
        assert!(network(NetworkErrorKind::Unsent).is_retryable());
        assert!(!network(NetworkErrorKind::Interrupted).is_retryable());
        assert!(!network(NetworkErrorKind::Cut).is_retryable());
    }

    #[test]
    fn a_failed_creation_is_retryable_because_its_sandbox_is_killed() {
        let error = network(NetworkErrorKind::Interrupted).while_creating("tmpl", Some("sb"));
        assert!(error.is_retryable());
        assert_eq!(error.code(), "sandbox_creation");
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn a_source_is_in_the_report_and_not_in_the_text() {
        let error = network(NetworkErrorKind::Connect).with_operation("pause", "sb");
        assert_eq!(error.to_string(), "cannot pause sandbox \"sb\"");
        assert_eq!(
            error.report().to_string(),
            "cannot pause sandbox \"sb\": invoke: the connection failed: \
             cannot connect to host: broken pipe"
        );
    }

    #[test]
    fn an_operation_keeps_the_status_of_its_cause() {
        let conflict = Error::Runtime {
            operation: "pause".into(),
            status: Some(409),
            message: "already paused".into(),
        };
        let error = conflict.with_operation("pause", "sb");
        assert_eq!(error.status(), Some(409));
        assert_eq!(
            error.report().to_string(),
            "cannot pause sandbox \"sb\": pause: already paused (HTTP 409)"
        );
    }
}
