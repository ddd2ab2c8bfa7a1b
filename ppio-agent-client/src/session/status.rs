//! What a session is doing.

use std::fmt;

/// What a session is doing, by the word of the platform and of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SessionStatus {
    /// The sandbox runs and its agent is healthy.
    Active,
    /// The sandbox is frozen, with its memory kept.
    Paused,
    /// The sandbox runs, but its agent does not answer.
    Inactive,
    /// The sandbox is gone: closed or expired.
    Closed,
    /// The sandbox runs and its agent says that it is not well.
    Error,
}

impl SessionStatus {
    /// The word for it, in lower case.
    ///
    /// ```
    /// assert_eq!(ppio_agent_client::SessionStatus::Active.as_str(), "active");
    /// ```
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
