//! A line of an agent's log, for people: agents write JSON where nobody looks on.

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value};

use crate::terminal::styled::Styled;

const ASIDE: Style = Style::new().dimmed();
/// Fields with a place of their own in the line.
const PLACED: [&str; 6] = [
    "timestamp",
    "level",
    "message",
    "target",
    "request_id",
    "session_id",
];

/// The line as a person reads it, or `None` if it is no line of the runtime's log.
pub(crate) fn readable(line: &str) -> Option<Styled> {
    let fields: Map<String, Value> = serde_json::from_str(line).ok()?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let time = time_of_day(text("timestamp")?);
    let level = text("level")?;
    let style = style_of(level);
    let mut readable = Styled::new();
    readable.push_styled(ASIDE, &time);
    readable.push(" ");
    readable.push_styled(style, &format!("{level:>5}"));
    // The runtime speaks of the agent anyway; the author's modules are worth naming.
    if let Some(target) = text("target").filter(|target| !target.starts_with("ppio::")) {
        readable.push(" ");
        readable.push_styled(ASIDE, &format!("{target}:"));
    }
    if let Some(message) = text("message") {
        readable.push(&format!(" {message}"));
    }
    for (name, value) in &fields {
        if PLACED.contains(&name.as_str()) {
            continue;
        }
        readable.push(" ");
        readable.push_styled(ASIDE, &format!("{name}="));
        match value {
            Value::String(text) => readable.push(&format!("{text:?}")),
            value => readable.push(&value.to_string()),
        }
    }
    for name in ["request_id", "session_id"] {
        if let Some(id) = text(name) {
            readable.push(" ");
            readable.push_styled(ASIDE, &format!("{name}={id}"));
        }
    }
    Some(readable)
}

/// `20:19:24.905Z` of `2026-11-24T20:19:24.905505Z`.
fn time_of_day(timestamp: &str) -> String {
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
        _ => ASIDE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(line: &str) -> Option<String> {
        readable(line).map(|line| line.plain())
    }

    #[test]
    fn the_runtimes_lines_become_readable_and_others_stay() {
        let line = r#"{"timestamp":"2026-11-24T20:19:24.905505Z","level":"ERROR","message":"invocation failed","error":"no \"key\"","status":500,"target":"ppio::invocation","request_id":"r-1","session_id":"s-1"}"#;
        assert_eq!(
            plain(line).unwrap(),
            r#"20:19:24.905Z ERROR invocation failed error="no \"key\"" status=500 request_id=r-1 session_id=s-1"#
        );
        let line = r#"{"timestamp":"2026-11-24T20:19:24Z","level":"INFO","message":"hi","target":"my_agent"}"#;
        assert_eq!(plain(line).unwrap(), "20:19:24Z  INFO my_agent: hi");
        for line in ["hello", "{", "{}", "[1]", r#"{"message":"from elsewhere"}"#] {
            assert_eq!(plain(line), None);
        }
    }
}
