//! Everything that can go wrong, in one enum.

mod network;

use std::time::Duration;

use ppio_agent_protocol::ByteSize;

pub use network::{NetworkError, NetworkErrorKind};

use crate::config::AuthManager;

/// What a call to an agent or to the platform can fail with.
///
/// ```
/// use ppio_agent_client::Error;
///
/// fn wait_before_retry(error: &Error) -> Option<std::time::Duration> {
///     match error {
///         Error::RateLimit { retry_after, .. } => *retry_after,
///         other if other.is_retryable() => Some(std::time::Duration::from_secs(1)),
///         _ => None,
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something given to this library cannot be used; nothing was sent.
    #[error("invalid {field}: {message}")]
    Validation {
        /// The argument, configuration field or environment variable.
        field: String,
        /// What is wrong with it, and what it should be.
        message: String,
    },

    /// The platform or a service in the sandbox failed, or answered something that is not
    /// what it promises to answer.
    #[error("{operation}: {message}{}", status_suffix(*.status))]
    Runtime {
        /// What was being done.
        operation: String,
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
        /// What the service said, or how its answer was wrong.
        message: String,
    },

    /// There is no API key, or the platform does not accept it.
    #[error("authentication failed: {message}")]
    Authentication {
        /// The HTTP status; `None` when the key was missing and nothing was sent.
        status: Option<u16>,
        /// What the platform said, or how to give a key.
        message: String,
    },

    /// The platform has no such template, or it is not visible to this key.
    #[error("template {template:?} not found")]
    TemplateNotFound {
        /// The template id or alias that was asked for.
        template: String,
    },

    /// No session came about. The sandbox, if one was made, has been or is being killed.
    #[error("cannot create a session from template {template:?}: {source}")]
    SandboxCreation {
        /// The template id or alias.
        template: String,
        /// The sandbox that was made and killed, if it came that far.
        sandbox_id: Option<String>,
        /// What went wrong.
        source: Box<Error>,
    },

    /// The sandbox does not exist (any more): closed, expired, or never there.
    #[error("session {sandbox_id:?} not found: it was closed or has expired")]
    SessionNotFound {
        /// The sandbox (= session) id.
        sandbox_id: String,
    },

    /// The agent answered with an error.
    #[error("the agent failed: {message}{}", status_suffix(*.status))]
    Invocation {
        /// The sandbox the agent runs in.
        sandbox_id: String,
        /// The HTTP status; `None` for an error item inside a stream.
        status: Option<u16>,
        /// The agent's name for the kind of error, if it gave one.
        error_type: Option<String>,
        /// What the agent said.
        message: String,
        /// The request id, to find the call in the agent's log.
        request_id: Option<String>,
    },

    /// The connection could not be made, or broke. [`NetworkError::may_have_arrived`] tells
    /// whether the other side can have seen the request.
    #[error("{operation}: {source}")]
    Network {
        /// What was being done.
        operation: String,
        /// What happened to the connection.
        source: NetworkError,
    },

    /// The deadline passed. It covers all attempts together.
    #[error("{operation}: no answer within {limit:?}")]
    Timeout {
        /// What was being done.
        operation: String,
        /// The time that was allowed.
        limit: Duration,
    },

    /// A stream is open but nothing, not even a heartbeat, came for too long.
    #[error("the agent's stream was silent for {limit:?}")]
    StreamIdle {
        /// The longest silence allowed ([`ClientConfig::stream_idle_timeout`]).
        ///
        /// [`ClientConfig::stream_idle_timeout`]: crate::ClientConfig::stream_idle_timeout
        limit: Duration,
    },

    /// An answer, an item of a stream or the output of a process is larger than what is read of it
    /// into memory. Nothing of it is returned, and its connection is closed.
    #[error("{operation}: {what} is larger than {limit}{}", setting_suffix(*.setting))]
    ResponseTooLarge {
        /// What was being done.
        operation: String,
        /// What is too large.
        what: String,
        /// The most that is read.
        limit: ByteSize,
        /// What sets the limit: a field of [`ClientConfig`] and an environment variable. `None` for
        /// the answers of the control plane, whose limit is fixed.
        ///
        /// [`ClientConfig`]: crate::ClientConfig
        setting: Option<&'static str>,
    },

    /// Too many calls (429), after as many retries as are allowed and fit into the deadline.
    #[error("rate limited: {message}")]
    RateLimit {
        /// What the platform said.
        message: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },

    /// The account may not do this, or not more of it (403).
    #[error("quota exceeded or not allowed: {message}")]
    QuotaExceeded {
        /// What the platform said.
        message: String,
    },

    /// Pausing, resuming or another operation on a sandbox failed.
    #[error("cannot {operation} sandbox {sandbox_id:?}: {source}")]
    SandboxOperation {
        /// `pause`, `resume`, `close`, …
        operation: String,
        /// The sandbox.
        sandbox_id: String,
        /// What went wrong.
        source: Box<Error>,
    },
}

impl Error {
    /// A stable name for the kind of error, for logs and metrics.
    ///
    /// ```
    /// let error = ppio_agent_client::Error::TemplateNotFound { template: "t".into() };
    /// assert_eq!(error.code(), "template_not_found");
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Validation { .. } => "validation",
            Self::Runtime { .. } => "runtime",
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

    /// The HTTP status behind the error, if an answer was received.
    ///
    /// ```
    /// let error = ppio_agent_client::Error::QuotaExceeded { message: "no more".into() };
    /// assert_eq!(error.status(), Some(403));
    /// ```
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Runtime { status, .. }
            | Self::Authentication { status, .. }
            | Self::Invocation { status, .. } => *status,
            Self::TemplateNotFound { .. } | Self::SessionNotFound { .. } => Some(404),
            Self::RateLimit { .. } => Some(429),
            Self::QuotaExceeded { .. } => Some(403),
            Self::SandboxCreation { source, .. } | Self::SandboxOperation { source, .. } => {
                source.status()
            }
            Self::Validation { .. }
            | Self::Network { .. }
            | Self::Timeout { .. }
            | Self::StreamIdle { .. }
            | Self::ResponseTooLarge { .. } => None,
        }
    }

    /// Whether making the same call again can succeed **and** cannot do its work twice.
    ///
    /// An invocation that may have reached the agent is therefore not retryable, however its
    /// connection ended; whether to repeat it is for the caller to know.
    ///
    /// ```
    /// let error = ppio_agent_client::Error::RateLimit { message: String::new(), retry_after: None };
    /// assert!(error.is_retryable());
    /// ```
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimit { .. } => true,
            Self::Network { source, .. } => !source.may_have_arrived(),
            // 503 is said before any work: draining, or over the concurrency limit.
            Self::Invocation { status, .. } | Self::Runtime { status, .. } => *status == Some(503),
            // What a failed creation made is killed, so another try does nothing twice.
            Self::SandboxCreation { source, .. } => match &**source {
                Self::Network { .. } | Self::Timeout { .. } => true,
                Self::Runtime { status, .. } => status.is_some_and(|status| status >= 500),
                other => other.is_retryable(),
            },
            Self::SandboxOperation { source, .. } => source.is_retryable(),
            Self::Validation { .. }
            | Self::Authentication { .. }
            | Self::TemplateNotFound { .. }
            | Self::SessionNotFound { .. }
            | Self::Timeout { .. }
            | Self::StreamIdle { .. }
            | Self::ResponseTooLarge { .. }
            | Self::QuotaExceeded { .. } => false,
        }
    }

    /// The same error with every secret in its texts blotted out: agents and servers have been seen
    /// to quote what they were sent.
    pub(crate) fn redacted(mut self, auth: &AuthManager) -> Self {
        let hide = |text: &mut String| *text = auth.redact(std::mem::take(text));
        match &mut self {
            Self::Validation { message, .. }
            | Self::Runtime { message, .. }
            | Self::Authentication { message, .. }
            | Self::RateLimit { message, .. }
            | Self::QuotaExceeded { message } => hide(message),
            Self::Invocation {
                message,
                error_type,
                request_id,
                ..
            } => {
                hide(message);
                error_type.iter_mut().chain(request_id).for_each(hide);
            }
            Self::SandboxCreation { source, .. } | Self::SandboxOperation { source, .. } => {
                let inner = std::mem::replace(&mut **source, Self::protocol("", ""));
                **source = inner.redacted(auth);
            }
            // Made of what this library was given, and of what the system says.
            Self::TemplateNotFound { .. }
            | Self::SessionNotFound { .. }
            | Self::Network { .. }
            | Self::Timeout { .. }
            | Self::StreamIdle { .. }
            | Self::ResponseTooLarge { .. } => {}
        }
        self
    }

    pub(crate) fn validation(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Validation {
            field: field.into(),
            message: message.into(),
        }
    }

    /// An answer that breaks the protocol.
    pub(crate) fn protocol(operation: &str, message: impl Into<String>) -> Self {
        Self::Runtime {
            operation: operation.to_owned(),
            status: None,
            message: message.into(),
        }
    }

    /// Says which operation on which sandbox failed, unless the error already says what the
    /// caller has to act on (key, quota, rate, a sandbox that is gone).
    pub(crate) fn with_operation(self, operation: &str, sandbox_id: &str) -> Self {
        match self {
            Self::Authentication { .. }
            | Self::SessionNotFound { .. }
            | Self::RateLimit { .. }
            | Self::QuotaExceeded { .. }
            | Self::SandboxOperation { .. } => self,
            source => Self::SandboxOperation {
                operation: operation.to_owned(),
                sandbox_id: sandbox_id.to_owned(),
                source: Box::new(source),
            },
        }
    }

    /// Says that creating a session failed, with the same exceptions, and the template.
    pub(crate) fn creating(self, template: &str, sandbox_id: Option<&str>) -> Self {
        match self {
            Self::Validation { .. }
            | Self::Authentication { .. }
            | Self::TemplateNotFound { .. }
            | Self::RateLimit { .. }
            | Self::QuotaExceeded { .. }
            | Self::SandboxCreation { .. } => self,
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
    fn only_what_cannot_have_arrived_is_retryable() {
        assert!(network(NetworkErrorKind::Connect).is_retryable());
        assert!(network(NetworkErrorKind::Unsent).is_retryable());
        assert!(!network(NetworkErrorKind::Interrupted).is_retryable());
        assert!(!network(NetworkErrorKind::Cut).is_retryable());
    }

    #[test]
    fn a_failed_creation_may_be_tried_again_because_it_leaves_nothing_behind() {
        let error = network(NetworkErrorKind::Interrupted).creating("tmpl", Some("sb"));
        assert!(error.is_retryable());
        assert_eq!(error.code(), "sandbox_creation");
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn secrets_are_blotted_out_however_deep_they_stand() {
        let auth = AuthManager::new("sk-deep-1").expect("well formed");
        let error = Error::protocol("pause", "who is sk-deep-1?")
            .with_operation("pause", "sb")
            .redacted(&auth);
        assert!(!format!("{error} {error:?}").contains("sk-deep-1"));
        assert!(error.to_string().contains("who is ***?"), "{error}");
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
            error.to_string(),
            "cannot pause sandbox \"sb\": pause: already paused (HTTP 409)"
        );
    }
}
