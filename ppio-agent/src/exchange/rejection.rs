//! The reasons for which the runtime itself rejects a request, and the status of each.

use std::time::Duration;

use http::StatusCode;
#[cfg(feature = "websocket")]
use http::header::{CONNECTION, HeaderName, HeaderValue, UPGRADE};
use ppio_agent_connection::FramingError;
use ppio_agent_protocol::{AGENT_RESTARTED, ByteSize};
#[cfg(feature = "websocket")]
use ppio_agent_websocket::{HandshakeError, WebSocketError};

/// The reason for which the runtime itself rejects a request.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("the request body is empty; send a JSON value")]
    EmptyBody,
    #[error("invalid JSON at line {line} column {column}: {reason}")]
    InvalidJson {
        line: usize,
        column: usize,
        reason: String,
    },
    #[error("the request body is not UTF-8: bad byte at offset {offset}")]
    NotUtf8 { offset: usize },
    #[error("the request body was cut short: {0}")]
    BodyCut(String),
    #[error("an HTTP/1.1 request needs a `Host` header; send `host: <name>:<port>`")]
    NoHost,
    #[error("the request has more than one `Host` header; send one")]
    RepeatedHost,
    #[error("the `Host` header is not a host name and port; send `host: <name>:<port>`")]
    InvalidHost,
    #[error(transparent)]
    Framing(FramingError),
    #[error(
        "the agent listens on a loopback address and does not answer for host {host:?} \
         (set PPIO_AGENT_ALLOWED_HOSTS to allow it)"
    )]
    HostNotAllowed { host: String },
    #[error(
        "pages of origin {origin:?} may not call this agent \
         (set PPIO_AGENT_CORS_ORIGINS to allow them, `*` allows every page)"
    )]
    OriginNotAllowed { origin: String },
    #[error("the header {name} is {found:?}; send {expected}")]
    InvalidHeader {
        name: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error("no route for {path}; this service has POST /invocations and GET /ping")]
    NoRoute { path: String },
    #[error("{method} is not allowed for {path}; use {allow}")]
    MethodNotAllowed {
        method: String,
        path: String,
        allow: &'static str,
    },
    #[error("the request body did not arrive within {} s", .0.as_secs_f64())]
    BodyTooSlow(Duration),
    #[error(
        "the request body is larger than {limit} (set PPIO_AGENT_MAX_REQUEST_SIZE to change this)"
    )]
    TooLarge { limit: ByteSize },
    #[error("content type {found:?} is not JSON; send `content-type: application/json`")]
    NotJson { found: String },
    #[error("a page's request needs a content type; send `content-type: application/json`")]
    NoContentType,
    #[error("content encoding {found:?} is not supported; send the body unencoded")]
    Encoded { found: String },
    /// `place` is a text such as ` (at the top)`; empty if the location is not known.
    #[error("the request does not fit: {reason}{place}")]
    DoesNotFit { reason: String, place: String },
    #[error("the agent panicked")]
    Panicked,
    #[error("the answer cannot be written as JSON: {0}")]
    NotSerializable(String),
    #[cfg(feature = "chat")]
    #[error("the answer is larger than {limit}; request a stream")]
    AnswerTooLarge { limit: ByteSize },
    #[error("the body of the agent's response failed before its end")]
    ResponseCut,
    #[error("the agent is shutting down; try again")]
    ShuttingDown,
    #[error("the agent is already handling {limit} requests; try again")]
    Overloaded { limit: usize },
    #[error("an invocation of session {session:?} is running; try again when it has ended")]
    SessionBusy { session: String },
    #[error("{limit} invocations of session {session:?} are waiting already; try again")]
    SessionQueueFull { session: String, limit: usize },
    #[error("the invocation was ended by a later invocation of the same session")]
    Interrupted,
    #[error("the invocation was cancelled: {reason}")]
    Cancelled { reason: &'static str },
    #[error("the agent stopped before the invocation had ended")]
    AgentStopped,
    #[error(
        "the invocation was not started, because it cannot be written to the journal: {reason}; \
         try again"
    )]
    NotJournaled { reason: String },
    #[error("the invocation was ended, because it cannot be written to the journal: {reason}")]
    JournalFailed { reason: String },
    #[error(
        "all {limit} invocations that the agent can keep are running; try again \
         (set PPIO_AGENT_MAX_RUNS to change this)"
    )]
    TooManyRuns { limit: usize },
    #[error(
        "callers without a session and without `Authorization` cannot list invocations here; send \
         the `Authorization` that they were started with \
         (set PPIO_AGENT_LIST_ANONYMOUS_RUNS=true to list those of all such callers)"
    )]
    AnonymousList,
    #[error("no invocation {id:?} is kept here; it may have expired, or is another caller's")]
    RunNotFound { id: String },
    #[error(
        "the events up to {last} are no longer kept; continue from a later event, or invoke again"
    )]
    EventsGone { last: u64 },
    #[error(
        "the invocation has ended, but its answer is larger than {limit} and was not kept \
         (set PPIO_AGENT_MAX_RUN_SIZE to change this)"
    )]
    AnswerGone { limit: ByteSize },
    #[error("{found:?} is not the id of an event; send the number of the last event received")]
    InvalidEventId { found: String },
    #[error("event {found} was not sent; the last one is {last}")]
    UnknownEventId { found: u64, last: u64 },
    #[error("the idempotency key {reason}; send one of 1 to 255 printable ASCII characters")]
    InvalidKey { reason: &'static str },
    #[error(
        "the idempotency key was used for another request; send a new key, or the same body and \
         content type"
    )]
    KeyReused,
    #[error(
        "it is unknown whether the request ran, because the agent {has} restarted since the \
         request was first sent; check its effects before you send it with a new idempotency key"
    )]
    AgentRestarted {
        /// `has`, or `may have` if the request was sent before its caller had an id of the agent.
        has: &'static str,
    },
    #[cfg(feature = "ag-ui")]
    #[error("run {run_id:?} was started with another input; send a new `runId`, or the same input")]
    RunIdReused { run_id: String },
    #[error("`{name}: {found}` is not valid; write {expected}")]
    InvalidOption {
        name: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error(
        "unknown action {found:?}; send `ping_status`, `job_status`, `force_healthy`, \
         `force_busy` or `clear_forced_status`"
    )]
    UnknownAction { found: String },
    #[error("the agent did not answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    #[cfg(feature = "websocket")]
    #[error("the path serves WebSockets; send a WebSocket handshake")]
    UpgradeRequired,
    #[cfg(feature = "websocket")]
    #[error(transparent)]
    Handshake(HandshakeError),
    #[cfg(feature = "websocket")]
    #[error(
        "the connection cannot become a WebSocket: the server that mounts the agent has to serve \
         it with upgrades, and middleware has to pass on the extensions of the request"
    )]
    NoUpgrade,
    #[cfg(feature = "websocket")]
    #[error(transparent)]
    WebSocket(WebSocketError),
    #[error("the stream sent nothing for {} s and was ended", .0.as_secs_f64())]
    StreamStalled(Duration),
    #[error("the response did not end within the caller's timeout of {} s", .0.as_secs_f64())]
    StreamTimedOut(Duration),
}

impl Rejection {
    /// Returns the rejection of a path that does not exist.
    pub(crate) fn no_route(path: &str) -> Self {
        Self::NoRoute {
            path: path.chars().take(200).collect(),
        }
    }

    /// Returns the status of the response. No other code chooses the status of a rejection.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::EmptyBody
            | Self::InvalidJson { .. }
            | Self::NotUtf8 { .. }
            | Self::BodyCut(_)
            | Self::NoHost
            | Self::RepeatedHost
            | Self::InvalidHost
            | Self::Framing(_)
            | Self::InvalidHeader { .. }
            | Self::InvalidEventId { .. }
            | Self::UnknownEventId { .. }
            | Self::InvalidKey { .. }
            | Self::InvalidOption { .. }
            | Self::UnknownAction { .. } => StatusCode::BAD_REQUEST,
            #[cfg(feature = "websocket")]
            Self::Handshake(_) | Self::WebSocket(_) => StatusCode::BAD_REQUEST,
            #[cfg(feature = "websocket")]
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            #[cfg(feature = "websocket")]
            Self::NoUpgrade => StatusCode::INTERNAL_SERVER_ERROR,
            Self::HostNotAllowed { .. } => StatusCode::MISDIRECTED_REQUEST,
            Self::OriginNotAllowed { .. } | Self::AnonymousList => StatusCode::FORBIDDEN,
            Self::NoRoute { .. } | Self::RunNotFound { .. } => StatusCode::NOT_FOUND,
            Self::SessionBusy { .. }
            | Self::Interrupted
            | Self::Cancelled { .. }
            | Self::AgentRestarted { .. } => StatusCode::CONFLICT,
            Self::EventsGone { .. } | Self::AnswerGone { .. } => StatusCode::GONE,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson { .. } | Self::NoContentType | Self::Encoded { .. } => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::DoesNotFit { .. } | Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Panicked
            | Self::NotSerializable(_)
            | Self::ResponseCut
            | Self::AgentStopped
            | Self::JournalFailed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            #[cfg(feature = "chat")]
            Self::AnswerTooLarge { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            #[cfg(feature = "ag-ui")]
            Self::RunIdReused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::ShuttingDown
            | Self::Overloaded { .. }
            | Self::SessionQueueFull { .. }
            | Self::NotJournaled { .. }
            | Self::TooManyRuns { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut(_) | Self::StreamStalled(_) | Self::StreamTimedOut(_) => {
                StatusCode::GATEWAY_TIMEOUT
            }
        }
    }

    /// Returns the error type, which programs match on.
    pub(crate) fn error_type(&self) -> &'static str {
        match self {
            Self::EmptyBody | Self::InvalidJson { .. } | Self::NotUtf8 { .. } => "InvalidJson",
            Self::BodyCut(_) => "IncompleteBody",
            Self::NoHost
            | Self::RepeatedHost
            | Self::InvalidHost
            | Self::Framing(_)
            | Self::InvalidHeader { .. }
            | Self::InvalidOption { .. }
            | Self::UnknownAction { .. } => "BadRequest",
            #[cfg(feature = "websocket")]
            Self::Handshake(_) => "BadHandshake",
            #[cfg(feature = "websocket")]
            Self::WebSocket(_) => "WebSocketError",
            #[cfg(feature = "websocket")]
            Self::UpgradeRequired | Self::NoUpgrade => "UpgradeRequired",
            Self::HostNotAllowed { .. } => "HostNotAllowed",
            Self::OriginNotAllowed { .. } => "OriginNotAllowed",
            Self::NoRoute { .. } => "NotFound",
            Self::MethodNotAllowed { .. } => "MethodNotAllowed",
            Self::BodyTooSlow(_) => "RequestTimeout",
            Self::TooLarge { .. } => "RequestTooLarge",
            Self::NotJson { .. } | Self::NoContentType | Self::Encoded { .. } => {
                "UnsupportedMediaType"
            }
            Self::DoesNotFit { .. } => "ValidationError",
            Self::Panicked => "Panic",
            Self::NotSerializable(_) => "SerializationError",
            Self::ResponseCut => "ResponseCut",
            #[cfg(feature = "chat")]
            Self::AnswerTooLarge { .. } => "AnswerTooLarge",
            Self::ShuttingDown => "Draining",
            Self::Overloaded { .. } => "Overloaded",
            Self::SessionBusy { .. } => "SessionBusy",
            Self::SessionQueueFull { .. } => "SessionQueueFull",
            Self::Interrupted => "Interrupted",
            Self::Cancelled { .. } => "Cancelled",
            Self::AgentStopped => "AgentStopped",
            Self::NotJournaled { .. } | Self::JournalFailed { .. } => "JournalError",
            Self::TooManyRuns { .. } => "TooManyRuns",
            Self::AnonymousList => "AnonymousList",
            Self::RunNotFound { .. } => "RunNotFound",
            Self::EventsGone { .. } | Self::AnswerGone { .. } => "Gone",
            Self::InvalidEventId { .. } | Self::UnknownEventId { .. } => "InvalidLastEventId",
            Self::InvalidKey { .. } => "InvalidIdempotencyKey",
            Self::KeyReused => "IdempotencyKeyReused",
            Self::AgentRestarted { .. } => AGENT_RESTARTED,
            #[cfg(feature = "ag-ui")]
            Self::RunIdReused { .. } => "RunIdReused",
            Self::TimedOut(_) | Self::StreamStalled(_) | Self::StreamTimedOut(_) => "Timeout",
        }
    }

    /// Returns the `Allow` header of a 405.
    pub(crate) fn allow(&self) -> Option<&'static str> {
        match self {
            Self::MethodNotAllowed { allow, .. } => Some(allow),
            _ => None,
        }
    }

    /// Whether the connection is closed after the response: after an invalid `Host` header, after
    /// invalid framing, and after a body that did not arrive. In the last two cases it is unknown
    /// where the next request begins.
    pub(crate) fn closes_connection(&self) -> bool {
        matches!(
            self,
            Self::NoHost
                | Self::RepeatedHost
                | Self::InvalidHost
                | Self::Framing(_)
                | Self::BodyCut(_)
                | Self::BodyTooSlow(_)
        )
    }

    /// Returns the `Retry-After` header of a 503, in seconds.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(1)
    }

    /// Whether the rejection ends an invocation that had begun, so that the invocation failed and
    /// was not refused. The invocation may have been waiting for its session.
    pub(crate) fn follows_call(&self) -> bool {
        #[cfg(feature = "chat")]
        if matches!(self, Self::AnswerTooLarge { .. }) {
            return true;
        }
        matches!(
            self,
            Self::Panicked
                | Self::NotSerializable(_)
                | Self::ResponseCut
                | Self::Interrupted
                | Self::Cancelled { .. }
                | Self::AgentStopped
                | Self::JournalFailed { .. }
                | Self::TimedOut(_)
                | Self::StreamStalled(_)
                | Self::StreamTimedOut(_)
        )
    }

    /// Whether the answer, its next item or the whole stream took too long.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(
            self,
            Self::TimedOut(_) | Self::StreamStalled(_) | Self::StreamTimedOut(_)
        )
    }

    /// Whether the invocation was ended from outside, and did not fail by itself.
    pub(crate) fn is_cancellation(&self) -> bool {
        matches!(self, Self::Interrupted | Self::Cancelled { .. })
    }

    /// Returns the further headers of a response that rejects a handshake.
    #[cfg(feature = "websocket")]
    pub(crate) fn handshake_headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        match self {
            Self::UpgradeRequired => vec![
                (UPGRADE, HeaderValue::from_static("websocket")),
                (CONNECTION, HeaderValue::from_static("upgrade")),
            ],
            Self::Handshake(_) => vec![HandshakeError::supported_version()],
            _ => Vec::new(),
        }
    }
}
