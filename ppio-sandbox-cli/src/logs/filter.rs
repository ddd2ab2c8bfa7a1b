//! Decides which lines of a log are printed.

use serde_json::{Map, Value};

use super::position::{milliseconds, unix_milliseconds};
use super::session_log_line::SessionLogLine;
use crate::arguments::LineArguments;

/// The members that hold the id of a run: `request_id` and `run` in the runtime's lines,
/// `requestId` in those of AgentCore's format.
const RUN_IDS: [&str; 3] = ["request_id", "requestId", "run"];

/// Selects lines.
#[derive(Debug, Default)]
pub(super) struct LineFilter(LineArguments);

impl From<LineArguments> for LineFilter {
    fn from(arguments: LineArguments) -> Self {
        Self(arguments)
    }
}

impl LineFilter {
    /// Returns the start of the selected time range, in milliseconds since the Unix epoch.
    pub(super) fn start(&self) -> Option<i64> {
        self.0.since.map(unix_milliseconds)
    }

    /// Returns text that the raw form of every selected line contains, for the platform to search
    /// for.
    ///
    /// The level is not sent: the platform derives the level from the stream, so it would leave out
    /// errors that an agent writes to standard output.
    pub(super) fn search(&self) -> Option<&str> {
        let pattern = self.0.grep.as_ref().map(regex::Regex::as_str);
        // The runtime's JSON does not escape the characters of ids, and these characters have no
        // other meaning in patterns.
        let is_plain = |text: &&str| !text.is_empty() && text.chars().all(is_id_character);
        // Text output prints the time with fewer digits than the line has.
        let is_end_of_time = |text: &str| {
            let digits = text.strip_suffix('Z').unwrap_or_default();
            !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
        };
        let pattern = pattern.filter(|pattern| !is_end_of_time(pattern));
        let run = self.0.run.as_deref();
        run.filter(is_plain).or(pattern.filter(is_plain))
    }

    /// Whether this line, and so every later one, is after `--until`.
    pub(super) fn is_past(&self, record: &SessionLogLine) -> bool {
        let until = self.0.until.map(unix_milliseconds);
        until.is_some_and(|until| milliseconds(record.time()).is_some_and(|time| time > until))
    }

    /// Whether a line that is not after `--until` is printed.
    pub(super) fn selects(&self, record: &SessionLogLine) -> bool {
        let LineArguments {
            since,
            until: _,
            level,
            grep,
            run,
        } = &self.0;
        let since = since.map(unix_milliseconds);
        // A platform may ignore the parameter `start`.
        since.is_none_or(|since| milliseconds(record.time()).is_none_or(|time| time >= since))
            && level.is_none_or(|level| record.level() >= level)
            && run.as_deref().is_none_or(|run| is_of_run(record, run))
            && grep.as_ref().is_none_or(|pattern| {
                let shown = record.formatted().map(|line| line.plain());
                pattern.is_match(shown.as_deref().unwrap_or(record.text()))
                    || record
                        .members()
                        .is_some_and(|members| strings(members).any(|text| pattern.is_match(text)))
            })
    }
}

fn is_of_run(record: &SessionLogLine, run: &str) -> bool {
    let Some(members) = record.members() else {
        return has_id(record.text(), run);
    };
    let mut ids = RUN_IDS.iter().filter_map(|name| members.get(*name));
    ids.any(|id| id == run)
}

/// Whether a text contains an id, and not only as a part of a longer one.
fn has_id(text: &str, id: &str) -> bool {
    text.match_indices(id).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + id.len()..].chars().next();
        ![before, after].into_iter().flatten().any(is_id_character)
    })
}

fn is_id_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn strings(members: &Map<String, Value>) -> impl Iterator<Item = &str> {
    members.values().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use ppio_agent_client::platform::LogEntry;
    use regex::Regex;

    use super::*;

    fn record(line: &str) -> SessionLogLine {
        let entry = serde_json::json!({"timestamp": "2026-01-01T00:00:00Z", "message": line});
        let entry: LogEntry = serde_json::from_value(entry).expect("an entry");
        entry.into()
    }

    fn grep(pattern: &str) -> LineFilter {
        LineFilter::from(LineArguments {
            grep: Some(Regex::new(pattern).expect("a pattern")),
            ..LineArguments::default()
        })
    }

    const LINE: &str = r#"{"timestamp":"2026-11-24T20:19:24.905505Z","level":"ERROR","message":"invocation failed","error":"no \"key\"","status":500,"target":"ppio::invocation","request_id":"r-1"}"#;

    #[test]
    fn a_pattern_matches_the_line_as_it_is_printed_and_its_strings() {
        for (pattern, line, matches) in [
            ("failed", LINE, true),
            ("^invocation failed$", LINE, true),
            (r"ERROR.*status=500", LINE, true),
            (r#"no "key""#, LINE, true),
            ("ppio::invocation", LINE, true),
            ("request_id=r-1", LINE, true),
            ("Failed", LINE, false),
            ("(?i)Failed", LINE, true),
            ("501", LINE, false),
            ("^plain$", "plain", true),
            (r#""a":1"#, r#"{"a":1}"#, true),
        ] {
            assert_eq!(grep(pattern).selects(&record(line)), matches, "{pattern}");
        }
    }

    #[test]
    fn the_lines_of_a_run_have_its_id() {
        let filter = LineFilter::from(LineArguments {
            run: Some("r-1".to_owned()),
            ..LineArguments::default()
        });
        for (line, is_of_it) in [
            (LINE, true),
            (r#"{"requestId":"r-1"}"#, true),
            (r#"{"request_id":"r-10"}"#, false),
            (r#"{"message":"r-1"}"#, false),
            (r#"2026-11-24T20:19:24Z  INFO a: hi request_id="r-1""#, true),
            (
                r#"2026-11-24T20:19:24Z  INFO a: hi request_id="r-10""#,
                false,
            ),
            ("or-1 r-1", true),
            ("or-1", false),
            ("hi", false),
        ] {
            assert_eq!(filter.selects(&record(line)), is_of_it, "{line}");
        }
    }

    #[test]
    fn only_a_text_that_every_match_contains_is_searched_for() {
        let run = |id: &str, pattern: Option<&str>| {
            LineFilter::from(LineArguments {
                run: Some(id.to_owned()),
                grep: pattern.map(|pattern| Regex::new(pattern).expect("a pattern")),
                ..LineArguments::default()
            })
        };
        for (filter, search) in [
            (LineFilter::default(), None),
            (grep("timeout"), Some("timeout")),
            (grep("time.ut"), None),
            (grep("a b"), None),
            (grep("(?i)a"), None),
            (grep(""), None),
            (grep("905Z"), None),
            (grep("905"), Some("905")),
            (grep("Z"), Some("Z")),
            (run("r-1", None), Some("r-1")),
            (run("r-1", Some("timeout")), Some("r-1")),
            (run("r 1", Some("timeout")), Some("timeout")),
        ] {
            assert_eq!(filter.search(), search, "{filter:?}");
        }
    }
}
