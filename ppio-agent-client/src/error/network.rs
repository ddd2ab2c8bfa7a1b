//! Failures of a connection.

use std::error::Error as StdError;

/// A connection that could not be established, or that broke.
#[derive(Debug, thiserror::Error)]
#[error("{} {host}", .kind.describe())]
pub struct NetworkError {
    kind: NetworkErrorKind,
    host: String,
    source: Box<dyn StdError + Send + Sync>,
}

/// How far a request had progressed when its connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkErrorKind {
    /// No connection was established: refused, unknown host, TLS, proxy, or the time limit.
    Connect,
    /// The server closed a kept-alive connection before any byte of the request was written.
    Unsent,
    /// The connection broke after the request was (perhaps partly) written, before a response.
    Interrupted,
    /// The connection broke within the body of the response, or the body ended too early.
    Cut,
}

impl NetworkErrorKind {
    fn describe(self) -> &'static str {
        match self {
            Self::Connect => "cannot connect to",
            Self::Unsent => "connection closed before the request was sent to",
            Self::Interrupted => "connection lost while waiting for the response of",
            Self::Cut => "incomplete response of",
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

    /// How far the request had progressed.
    pub fn kind(&self) -> NetworkErrorKind {
        self.kind
    }

    /// The host of the server, with its port if the URL has one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the server may have received the request, in part or whole.
    pub fn may_have_arrived(&self) -> bool {
        matches!(
            self.kind,
            NetworkErrorKind::Interrupted | NetworkErrorKind::Cut
        )
    }
}
