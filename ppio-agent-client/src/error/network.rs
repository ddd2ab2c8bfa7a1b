//! What can happen to a connection.

use std::error::Error as StdError;

/// A connection that could not be made, or that broke.
#[derive(Debug, thiserror::Error)]
#[error("{} {host}: {source}", .kind.describe())]
pub struct NetworkError {
    kind: NetworkErrorKind,
    host: String,
    source: Box<dyn StdError + Send + Sync>,
}

/// How far a request had come when its connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkErrorKind {
    /// No connection came about: refused, unknown host, TLS, proxy, or no answer in time.
    Connect,
    /// A kept-alive connection was closed by the other side before one byte was written.
    Unsent,
    /// The connection broke after the request was (perhaps partly) written and before an answer.
    Interrupted,
    /// The connection broke in the middle of the answer's body.
    Cut,
}

impl NetworkErrorKind {
    fn describe(self) -> &'static str {
        match self {
            Self::Connect => "cannot connect to",
            Self::Unsent => "connection closed before the request was sent to",
            Self::Interrupted => "connection lost while waiting for the answer of",
            Self::Cut => "connection cut in the middle of the answer of",
        }
    }
}

impl NetworkError {
    pub(crate) fn new(
        kind: NetworkErrorKind,
        host: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            host: host.into(),
            source: source.into(),
        }
    }

    /// How far the request had come.
    ///
    /// ```
    /// use ppio_agent_client::{NetworkError, NetworkErrorKind};
    ///
    /// fn nobody_listens(error: &NetworkError) -> bool {
    ///     error.kind() == NetworkErrorKind::Connect
    /// }
    /// ```
    pub fn kind(&self) -> NetworkErrorKind {
        self.kind
    }

    /// The host (and port) of the other side.
    ///
    /// ```
    /// fn label(error: &ppio_agent_client::NetworkError) -> String {
    ///     format!("unreachable:{}", error.host())
    /// }
    /// ```
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the other side can have received the request, in part or whole.
    ///
    /// ```
    /// fn safe_to_send_again(error: &ppio_agent_client::NetworkError) -> bool {
    ///     !error.may_have_arrived()
    /// }
    /// ```
    pub fn may_have_arrived(&self) -> bool {
        matches!(
            self.kind,
            NetworkErrorKind::Interrupted | NetworkErrorKind::Cut
        )
    }
}
