//! The state of a run: an invocation that an agent keeps.

use std::fmt;
use std::str::FromStr;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};

use crate::text;

/// The state of a run: an invocation that an agent keeps after its caller has disconnected.
///
/// ```
/// use ppio_agent_protocol::RunStatus;
///
/// assert_eq!("success".parse(), Ok(RunStatus::Success));
/// assert_eq!(RunStatus::Cancelled.to_string(), "cancelled");
/// assert!(!RunStatus::Running.is_ended());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunStatus {
    /// The run is executing, or is queued.
    Running,
    /// The run ended with a value, or with all of its items.
    Success,
    /// The run failed, before its answer or in the middle of a stream.
    Error,
    /// The run was cancelled: by a caller, by its policy, or by the shutdown of the agent.
    Cancelled,
    /// The agent crashed during the run.
    Interrupted,
}

/// An error from parsing a [`RunStatus`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the status of a run, write `running`, `success`, `error`, `cancelled` or \
     `interrupted`"
)]
pub struct InvalidRunStatus(String);

impl RunStatus {
    /// Returns the text on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Success => "success",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether the run has ended.
    pub fn is_ended(self) -> bool {
        self != Self::Running
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RunStatus {
    type Err = InvalidRunStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [
            Self::Running,
            Self::Success,
            Self::Error,
            Self::Cancelled,
            Self::Interrupted,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| InvalidRunStatus(text::excerpt(text)))
    }
}

impl Serialize for RunStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RunStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "the status of a run such as \"running\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_read_as_it_is_written() {
        for text in ["running", "success", "error", "cancelled", "interrupted"] {
            let json = format!("\"{text}\"");
            let status: RunStatus = serde_json::from_str(&json).unwrap();
            assert_eq!(status.to_string(), text);
            assert_eq!(serde_json::to_string(&status).unwrap(), json);
            assert_eq!(status.is_ended(), text != "running");
        }
        for text in ["", "Running", "canceled", "done", " running"] {
            assert!(text.parse::<RunStatus>().is_err(), "{text:?}");
        }
        let huge = "x".repeat(1 << 20);
        let error = huge.parse::<RunStatus>().unwrap_err().to_string();
        assert!(error.len() < 300, "the error repeats the whole input");
    }
}
