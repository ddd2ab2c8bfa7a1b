//! The status of a session.

use std::fmt;

/// The status of a session, from the platform and from the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SessionStatus {
    /// The sandbox is running and its agent is healthy.
    Active,
    /// The sandbox is paused, with its memory kept.
    Paused,
    /// The agent does not respond, or responds to the ping with status 401, 403, 429 or 502 or with
    /// more than 64 KiB, or the sandbox is in a state other than running and paused.
    Inactive,
    /// The sandbox is gone: closed or expired.
    Closed,
    /// The sandbox is running, and its agent responds that it is unhealthy, or with an invalid
    /// response.
    Error,
}

impl SessionStatus {
    /// The status in lower case: `active`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Inactive => "inactive",
            Self::Closed => "closed",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for SessionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
