//! The format of log lines.

use std::str::FromStr;

/// The format of the lines of the default log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// Text, with colours on a terminal unless `NO_COLOR` is set.
    Text,
    /// One JSON object per line.
    Json,
    /// One JSON object per line, with the field names of AWS AgentCore's runtime: `timestamp`,
    /// `level`, `message`, `logger`, `requestId`, `sessionId`, `errorType`, `errorMessage`,
    /// `stackTrace`, and the further fields of a line under their own names.
    AgentCore,
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "agentcore" => Ok(Self::AgentCore),
            _ => Err(()),
        }
    }
}
