//! A trace as text: its spans as a tree, and its log.

use anstyle::{AnsiColor, Style};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::terminal::log_line;
use crate::terminal::styled::Styled;

const DIMMED: Style = Style::new().dimmed();
const TITLE: Style = Style::new().bold();
const FAILED: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default();
/// The members of a log record that are printed in columns of their own.
const OWN_MEMBERS: [&str; 4] = ["timestamp", "level", "message", "target"];
/// The deepest level that has an indentation of its own, as on the agent's page.
const MAX_INDENT: usize = 12;
/// The width of the column of durations, in characters.
const DURATION_WIDTH: usize = 9;

#[derive(Debug, Deserialize)]
pub(super) struct FetchedTrace {
    #[serde(rename = "trace_id")]
    id: String,
    started_at: String,
    duration_ms: f64,
    dropped_spans: usize,
    spans: Vec<FetchedSpan>,
}

#[derive(Debug, Deserialize)]
struct FetchedSpan {
    depth: usize,
    name: String,
    category: String,
    duration_ms: f64,
    is_error: bool,
    #[serde(default)]
    status_message: String,
    outlives_answer: bool,
    attributes: Map<String, Value>,
}

impl FetchedTrace {
    /// Writes a line for the trace, one for each span, and one for the number of dropped spans.
    pub(super) fn write(&self, text: &mut Styled) {
        text.push_styled(TITLE, &format!("trace {}", self.id));
        let started = super::milliseconds_only(&self.started_at);
        let duration = duration(self.duration_ms);
        text.push_styled(DIMMED, &format!("  {started}  {duration}"));
        text.push("\n");
        for span in &self.spans {
            span.write(text);
        }
        if self.dropped_spans > 0 {
            let dropped = self.dropped_spans;
            text.push(&format!("{dropped} more spans: the trace is too large\n"));
        }
    }
}

impl FetchedSpan {
    fn write(&self, text: &mut Styled) {
        let duration = duration(self.duration_ms);
        let indent = "  ".repeat(self.depth.min(MAX_INDENT));
        text.push_styled(DIMMED, &format!("{duration:>DURATION_WIDTH$}"));
        text.push(&format!("  {indent}{}", self.name));
        if self.category == "task"
            && let Some(name) = self.attributes.get("task").and_then(Value::as_str)
        {
            text.push(&format!(" {name}"));
        }
        let tokens = |kind: &str| self.attributes.get(&format!("gen_ai.usage.{kind}_tokens"));
        if let (Some(input), Some(output)) = (tokens("input"), tokens("output")) {
            text.push_styled(DIMMED, &format!("  {input} tokens in, {output} out"));
        }
        if self.is_error {
            text.push("  ");
            text.push_styled(FAILED, "error");
            let error_type = self.attributes.get("error.type").and_then(Value::as_str);
            let reasons = [Some(self.status_message.as_str()), error_type];
            if let Some(reason) = reasons.into_iter().flatten().find(|it| !it.is_empty()) {
                text.push(&format!(": {reason}"));
            }
        }
        if self.outlives_answer {
            text.push("  ");
            text.push_styled(WARNING, "continued after the answer");
        }
        text.push("\n");
    }
}

/// Writes log records as `agent dev` does, without their ids of runs, sessions, traces and spans.
pub(super) fn write_logs(records: &[Value], text: &mut Styled) {
    if records.is_empty() {
        return;
    }
    text.push("\n");
    text.push_styled(TITLE, "log");
    text.push("\n");
    for record in records {
        let mut line = Map::new();
        for name in ["timestamp", "message", "target"] {
            if let Some(value) = record.get(name) {
                line.insert(name.to_owned(), value.clone());
            }
        }
        let level = record.get("level").and_then(Value::as_str);
        let level = level.unwrap_or_default().to_uppercase();
        line.insert("level".to_owned(), Value::String(level));
        if let Some(Value::Object(fields)) = record.get("fields") {
            let fields = fields.iter().map(|(name, value)| {
                let is_free = !OWN_MEMBERS.contains(&name.as_str());
                let name = if is_free {
                    name.clone()
                } else {
                    format!("fields.{name}")
                };
                (name, value.clone())
            });
            line.extend(fields);
        }
        match log_line::formatted(&line) {
            Some(line) => text.append(&line),
            None => text.push(&record.to_string()),
        }
        text.push("\n");
    }
}

/// Formats a duration, given in milliseconds, as microseconds, milliseconds or seconds.
pub(super) fn duration(milliseconds: f64) -> String {
    match milliseconds {
        ..1.0 => format!("{:.0} µs", milliseconds * 1000.0),
        ..10.0 => format!("{milliseconds:.2} ms"),
        ..100.0 => format!("{milliseconds:.1} ms"),
        ..1000.0 => format!("{milliseconds:.0} ms"),
        _ => format!("{:.2} s", milliseconds / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_trace_is_a_tree_with_its_log() {
        let span = |depth: usize, name: &str, duration: f64, more: Value| {
            let mut span = json!({
                "depth": depth, "name": name, "category": "other", "duration_ms": duration,
                "is_error": false, "outlives_answer": false, "attributes": {},
            });
            let members = span.as_object_mut().unwrap();
            members.extend(more.as_object().unwrap().clone());
            span
        };
        let trace = json!({
            "trace_id": "0af7", "started_at": "2026-11-26T10:00:00.123456789Z",
            "duration_ms": 1234.5, "dropped_spans": 0,
            "spans": [
                span(0, "invoke_agent a", 1000.0, json!({"category": "agent"})),
                span(1, "chat", 12.34, json!({"attributes": {"gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 4}})),
                span(1, "execute_tool t", 0.5, json!({"is_error": true, "attributes": {"error.type": "tool_error"}})),
                span(2, "\u{1b}[2J", 5.0, json!({"is_error": true, "status_message": "no such city"})),
                span(1, "task", 1200.0, json!({"category": "task", "outlives_answer": true, "attributes": {"task": "index"}})),
            ],
        });
        let logs = [json!({
            "timestamp": "2026-11-26T10:00:00.5Z", "level": "warn", "message": "m", "run_id": "r", "fields": {"n": 3},
        })];
        let mut text = Styled::new();
        FetchedTrace::deserialize(&trace).unwrap().write(&mut text);
        write_logs(&logs, &mut text);
        assert_eq!(
            text.plain(),
            "trace 0af7  2026-11-26T10:00:00.123Z  1.23 s
   1.00 s  invoke_agent a
  12.3 ms    chat  3 tokens in, 4 out
   500 µs    execute_tool t  error: tool_error
  5.00 ms      \\x1b[2J  error: no such city
   1.20 s    task index  continued after the answer

log
10:00:00.5Z  WARN m n=3
"
        );
    }
}
