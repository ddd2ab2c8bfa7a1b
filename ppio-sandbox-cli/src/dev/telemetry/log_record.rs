//! A log record: a line of the agent's output, or one that was received.

use serde::{Deserialize, Serialize};

use super::span::{self, Attributes, Nanos};

/// What a record is without its strings, estimated.
const RECORD_SIZE: usize = 350;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct LogRecord {
    pub(super) timestamp: Nanos,
    pub(super) level: Level,
    pub(super) message: String,
    /// The module or the logger.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) span_id: Option<String>,
    /// The service that exported it; none for the output of the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<String>,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    pub(super) fields: Attributes,
}

/// How severe a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl LogRecord {
    /// How much memory it takes, about.
    pub(super) fn size(&self) -> usize {
        RECORD_SIZE + self.message.len() + self.target.len() + span::size(&self.fields)
    }
}

impl Level {
    /// A level by a name of Rust's or Python's loggers.
    pub(super) fn named(name: &str) -> Option<Self> {
        let levels = [
            ("trace", Self::Trace),
            ("debug", Self::Debug),
            ("info", Self::Info),
            ("warn", Self::Warn),
            ("warning", Self::Warn),
            ("error", Self::Error),
            ("critical", Self::Error),
            ("fatal", Self::Error),
        ];
        let mut levels = levels.into_iter();
        levels.find_map(|(other, level)| name.eq_ignore_ascii_case(other).then_some(level))
    }

    /// A level by OpenTelemetry's number of a severity, four of which each level has.
    pub(super) fn of_severity(number: i32) -> Self {
        match number {
            1..=4 => Self::Trace,
            5..=8 => Self::Debug,
            13..=16 => Self::Warn,
            17.. => Self::Error,
            _ => Self::Info,
        }
    }
}
