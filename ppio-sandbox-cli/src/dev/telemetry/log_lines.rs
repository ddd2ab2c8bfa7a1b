//! The log lines in the output of an agent: one JSON object per line, with the ids of its run.

use serde_json::Value;

use super::log_record::{LogRecord, take_text};
use super::span::{MAX_ID, MAX_NAME, MAX_TEXT, Nanos};
use crate::dev::clipped::clipped;
use crate::dev::output_line::OutputLine;
use crate::log_level::LogLevel;

/// Returns the record of a line; `None` if the line is not a log line with a level and a message.
///
/// The names of the members are those of the runtime, or those of AgentCore's runtime.
pub(super) fn parse(line: OutputLine<'_>) -> Option<LogRecord> {
    let Some(Value::Object(mut fields)) = line.json else {
        return None;
    };
    let level = LogLevel::named(fields.get("level")?.as_str()?)?;
    fields.remove("level");
    let mut take = |names: &[&str], limit| {
        let text = take_text(&mut fields, names)?;
        Some(clipped(text, limit))
    };
    let message = take(&["message"], MAX_TEXT)?;
    let target = take(&["target", "logger"], MAX_NAME).unwrap_or_default();
    let run_id = take(&["request_id", "requestId"], MAX_ID);
    let session_id = take(&["session_id", "sessionId"], MAX_ID);
    let trace_id = take(&["trace_id"], MAX_ID);
    let span_id = take(&["span_id"], MAX_ID);
    let timestamp = fields.get("timestamp").and_then(Value::as_str);
    let timestamp = timestamp.and_then(|text| humantime::parse_rfc3339_weak(text).ok());
    // A time in another format stays a field.
    if timestamp.is_some() {
        fields.remove("timestamp");
    }
    Some(LogRecord {
        timestamp: timestamp.map_or_else(Nanos::now, Nanos::of),
        level,
        message,
        target: target.into(),
        run_id,
        session_id,
        trace_id,
        span_id,
        service: None,
        fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<LogRecord> {
        super::parse(line.into())
    }

    #[test]
    fn log_lines_have_their_ids_and_fields() {
        let line = r#"{"timestamp":"2026-11-26T10:00:00.5Z","level":"WARN","message":"slow","target":"my_agent","n":3,"request_id":"r","session_id":"s","trace_id":"t"}"#;
        let record = parse(line).unwrap();
        assert_eq!(
            serde_json::to_value(&record).unwrap(),
            serde_json::json!({
                "timestamp": "2026-11-26T10:00:00.500000000Z", "level": "warn", "message": "slow",
                "target": "my_agent", "run_id": "r", "session_id": "s", "trace_id": "t",
                "fields": {"n": 3},
            })
        );
        let line = r#"{"timestamp":"never","level":"CRITICAL","message":"m","logger":"app","requestId":"r","sessionId":"s"}"#;
        let record = parse(line).unwrap();
        assert_eq!(record.level, LogLevel::Error);
        assert_eq!(record.run_id.as_deref(), Some("r"));
        assert_eq!(record.session_id.as_deref(), Some("s"));
        assert_eq!(&*record.target, "app");
        assert_eq!(record.fields["timestamp"], "never");
        let line = r#"{"timestamp":1764151200,"level":"INFO","message":"m","request_id":7}"#;
        let record = parse(line).unwrap();
        assert_eq!(record.fields["timestamp"], 1_764_151_200);
        assert_eq!(record.fields["request_id"], 7);
    }

    #[test]
    fn other_output_is_left_out() {
        for line in [
            "hello",
            "",
            "{",
            "{}",
            "[1]",
            r#"{"message":"no level"}"#,
            r#"{"level":"INFO"}"#,
            r#"{"level":3,"message":"m"}"#,
            r#"{"level":"loud","message":"m"}"#,
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
