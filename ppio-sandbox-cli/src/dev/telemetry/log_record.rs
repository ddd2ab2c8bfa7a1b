//! A log record: a line of the agent's output, or one that was received.

use serde::Serialize;
use serde_json::Value;

use super::shared_text::SharedText;
use super::span::{self, Attributes, Nanos};
use crate::log_level::LogLevel;

/// The estimated size of a record without its strings, in bytes.
const RECORD_SIZE: usize = 350;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct LogRecord {
    pub(super) timestamp: Nanos,
    pub(super) level: LogLevel,
    pub(super) message: String,
    /// The module or the logger.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) target: SharedText,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) span_id: Option<String>,
    /// The service that exported the record; `None` for the output of the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<SharedText>,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    pub(super) fields: Attributes,
}

impl LogRecord {
    /// Returns the approximate memory of the record, in bytes.
    pub(super) fn size(&self) -> usize {
        let ids = [
            &self.run_id,
            &self.session_id,
            &self.trace_id,
            &self.span_id,
        ];
        RECORD_SIZE
            + self.message.len()
            + self.target.len()
            + self.service.as_ref().map_or(0, |service| service.len())
            + ids.into_iter().flatten().map(String::len).sum::<usize>()
            + span::size(&self.fields)
    }
}

/// Removes and returns the first of these members that is a text.
pub(super) fn take_text(fields: &mut Attributes, names: &[&str]) -> Option<String> {
    let name = names
        .iter()
        .find(|name| matches!(fields.get(**name), Some(Value::String(_))))?;
    match fields.remove(*name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}
