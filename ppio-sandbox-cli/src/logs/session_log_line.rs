//! A line of a log, with the data that the platform adds to it.

use ppio_agent_client::platform::LogEntry;
use serde_json::{Map, Value, json};

use crate::log_level::LogLevel;
use crate::terminal::log_line;
use crate::terminal::styled::Styled;

/// A line of a log.
#[derive(Debug)]
pub(super) struct SessionLogLine {
    entry: LogEntry,
    /// The members of a line that is a JSON object.
    members: Option<Map<String, Value>>,
    level: LogLevel,
}

impl From<LogEntry> for SessionLogLine {
    fn from(entry: LogEntry) -> Self {
        let members = match serde_json::from_str(&entry.message) {
            Ok(Value::Object(members)) => Some(members),
            _ => None,
        };
        let written = match &members {
            Some(members) => members
                .get("level")
                .and_then(Value::as_str)
                .and_then(LogLevel::named),
            None => level_of_text(&entry.message),
        };
        let level = written.or_else(|| LogLevel::named(&entry.level));
        Self {
            level: level.unwrap_or(LogLevel::Info),
            members,
            entry,
        }
    }
}

impl SessionLogLine {
    /// Returns the time at which the platform received the line, RFC 3339.
    pub(super) fn time(&self) -> &str {
        &self.entry.timestamp
    }

    pub(super) fn level(&self) -> LogLevel {
        self.level
    }

    /// Returns the line as it was written.
    pub(super) fn text(&self) -> &str {
        &self.entry.message
    }

    /// Returns the members of a line that is a JSON object.
    pub(super) fn members(&self) -> Option<&Map<String, Value>> {
        self.members.as_ref()
    }

    /// Returns the line formatted for people, if it is JSON of the runtime.
    pub(super) fn formatted(&self) -> Option<Styled> {
        self.members.as_ref().and_then(log_line::formatted)
    }

    /// Returns the line as JSON for programs.
    pub(super) fn to_json(&self, sandbox: &str) -> Value {
        let mut members = self.members.clone().unwrap_or_default();
        let message = || Value::from(self.text());
        members.entry("message").or_insert_with(message);
        if !self.entry.fields.is_empty() {
            let fields = || self.entry.fields.clone().into_iter().collect();
            members.entry("fields").or_insert_with(fields);
        }
        members.insert("time".to_owned(), self.time().into());
        members.insert("level".to_owned(), json!(self.level));
        members.insert("sandbox".to_owned(), sandbox.into());
        Value::Object(members)
    }
}

/// Returns the level of a text line of the runtime:
/// `2026-11-24T20:19:24.905505Z  INFO my_agent: hi`.
fn level_of_text(line: &str) -> Option<LogLevel> {
    let mut words = line.split_whitespace();
    humantime::parse_rfc3339(words.next()?).ok()?;
    LogLevel::named(words.next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(level: &str, line: &str) -> SessionLogLine {
        let entry = json!({
            "timestamp": "2026-01-01T00:00:00.001Z", "level": level, "message": line,
            "fields": {"stream": "stderr"},
        });
        let entry: LogEntry = serde_json::from_value(entry).expect("an entry");
        entry.into()
    }

    #[test]
    fn the_level_is_that_of_the_line() {
        for (platform, line, level) in [
            ("error", "plain", LogLevel::Error),
            ("", "plain", LogLevel::Info),
            ("info", r#"{"level":"ERROR"}"#, LogLevel::Error),
            ("error", r#"{"level":"TRACE"}"#, LogLevel::Trace),
            ("error", r#"{"level":"WARNING"}"#, LogLevel::Warn),
            ("error", r#"{"level":30}"#, LogLevel::Error),
            ("warn", r#"["level","INFO"]"#, LogLevel::Warn),
            (
                "error",
                "2026-11-24T20:19:24.905505Z  INFO a: b",
                LogLevel::Info,
            ),
            ("error", "INFO is not a time", LogLevel::Error),
        ] {
            assert_eq!(record(platform, line).level(), level, "{platform} {line}");
        }
    }

    #[test]
    fn json_keeps_the_members_of_the_line() {
        let time = "2026-01-01T00:00:00.001Z";
        let fields = json!({"stream": "stderr"});
        for (line, expected) in [
            (
                "plain",
                json!({"time": time, "level": "error", "sandbox": "s", "message": "plain", "fields": fields}),
            ),
            (
                r#"{"timestamp":"t","level":"INFO","message":"hi","request_id":"r","trace_id":"1","status":200}"#,
                json!({"time": time, "level": "info", "sandbox": "s", "message": "hi", "fields": fields,
                    "timestamp": "t", "request_id": "r", "trace_id": "1", "status": 200}),
            ),
            (
                r#"{"fields":{"message":"hi"},"time":5}"#,
                json!({"time": time, "level": "error", "sandbox": "s", "fields": {"message": "hi"},
                    "message": r#"{"fields":{"message":"hi"},"time":5}"#}),
            ),
        ] {
            assert_eq!(record("error", line).to_json("s"), expected, "{line}");
        }
    }
}
