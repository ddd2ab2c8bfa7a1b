//! Formats the JSON lines of an agent's log for people.

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value};

use crate::terminal::styled::Styled;

const DIMMED: Style = Style::new().dimmed();
/// The fields that are not printed as `name=value` if they are texts.
const OWN_COLUMNS: [&str; 6] = [
    "timestamp",
    "level",
    "message",
    "target",
    "request_id",
    "session_id",
];

/// Formats a log line by its members; `None` if the `timestamp` or the `level` is not a text.
pub(crate) fn formatted(fields: &Map<String, Value>) -> Option<Styled> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let time = time_of_day(text("timestamp")?);
    let level = text("level")?;
    let style = style_of(level);
    let mut formatted = Styled::new();
    formatted.push_styled(DIMMED, &time);
    formatted.push(" ");
    formatted.push_styled(style, &format!("{level:>5}"));
    // The runtime's own modules mean nothing to an author.
    if let Some(target) = text("target").filter(|target| !target.starts_with("ppio::")) {
        formatted.push(" ");
        formatted.push_styled(DIMMED, &format!("{target}:"));
    }
    if let Some(message) = text("message") {
        formatted.push(&format!(" {message}"));
    }
    for (name, value) in fields {
        if value.is_string() && OWN_COLUMNS.contains(&name.as_str()) {
            continue;
        }
        formatted.push(" ");
        formatted.push_styled(DIMMED, &format!("{name}="));
        match value {
            Value::String(text) => formatted.push(&format!("{text:?}")),
            value => formatted.push(&value.to_string()),
        }
    }
    for name in ["request_id", "session_id"] {
        if let Some(id) = text(name) {
            formatted.push(" ");
            formatted.push_styled(DIMMED, &format!("{name}={id}"));
        }
    }
    Some(formatted)
}

/// Returns the time of day to the millisecond: `20:19:24.905Z` for `2026-11-24T20:19:24.905505Z`.
pub(crate) fn time_of_day(timestamp: &str) -> String {
    let Some((_, time)) = timestamp.split_once('T') else {
        return timestamp.to_owned();
    };
    match time.split_once('.') {
        Some((seconds, rest)) => {
            let digits: String = rest
                .chars()
                .take_while(char::is_ascii_digit)
                .take(3)
                .collect();
            let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{seconds}.{digits}{zone}")
        }
        None => time.to_owned(),
    }
}

fn style_of(level: &str) -> Style {
    match level {
        "ERROR" => AnsiColor::Red.on_default().bold(),
        "WARN" => AnsiColor::Yellow.on_default(),
        "INFO" => AnsiColor::Green.on_default(),
        _ => DIMMED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(line: &str) -> Option<String> {
        let fields = serde_json::from_str(line).ok()?;
        formatted(&fields).map(|line| line.plain())
    }

    #[test]
    fn only_the_runtimes_lines_are_formatted() {
        let line = r#"{"timestamp":"2026-11-24T20:19:24.905505Z","level":"ERROR","message":"invocation failed","error":"no \"key\"","status":500,"target":"ppio::invocation","request_id":"r-1","session_id":"s-1"}"#;
        assert_eq!(
            plain(line).unwrap(),
            r#"20:19:24.905Z ERROR invocation failed error="no \"key\"" status=500 request_id=r-1 session_id=s-1"#
        );
        let line = r#"{"timestamp":"2026-11-24T20:19:24Z","level":"INFO","message":"hi","target":"my_agent"}"#;
        assert_eq!(plain(line).unwrap(), "20:19:24Z  INFO my_agent: hi");
        let line = r#"{"timestamp":"2026-11-24T20:19:24Z","level":"INFO","message":{"a":1},"request_id":7}"#;
        assert_eq!(
            plain(line).unwrap(),
            r#"20:19:24Z  INFO message={"a":1} request_id=7"#
        );
        for line in ["hello", "{", "{}", "[1]", r#"{"message":"from elsewhere"}"#] {
            assert_eq!(plain(line), None);
        }
    }
}
