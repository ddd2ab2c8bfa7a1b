//! The position in a log, and which of its lines were already read.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use ppio_agent_client::platform::LogEntry;

/// The position after the last line that was read. Requests start at a millisecond, which may have
/// several lines.
#[derive(Debug, Default)]
pub(super) struct LogPosition {
    /// The time of the last line, or the start before the first line, in milliseconds since the
    /// Unix epoch.
    milliseconds: Option<i64>,
    /// The lines of that millisecond that were read.
    read: VecDeque<LogEntry>,
}

/// The lines of an answer that had not been read before.
#[derive(Debug)]
pub(super) struct NewEntries {
    pub(super) entries: Vec<LogEntry>,
    pub(super) gap: Option<LogGap>,
}

/// The reason why lines after an answer may be missing, although the platform may have them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LogGap {
    /// A millisecond has more lines than an answer holds, and those beyond cannot be requested.
    FullMillisecond,
    /// The platform does not start its answer at the position, but returns earlier lines again.
    NotAdvancing,
}

impl LogPosition {
    /// Creates the position before the lines of this millisecond.
    pub(super) fn at(milliseconds: Option<i64>) -> Self {
        Self {
            milliseconds,
            read: VecDeque::new(),
        }
    }

    /// Returns the time that the next request starts at, in milliseconds since the Unix epoch.
    pub(super) fn milliseconds(&self) -> Option<i64> {
        self.milliseconds
    }

    /// Moves past the lines of an answer, and never back. Returns the lines that had not been read
    /// before. If `is_full`, the platform may have further lines.
    pub(super) fn advance(&mut self, entries: Vec<LogEntry>, is_full: bool) -> NewEntries {
        let start = self.milliseconds;
        let mut new = Vec::new();
        let mut has_older = false;
        // A line is new only if the answer contains it more often than it was read.
        let mut read_before = self.read.clone();
        for entry in entries {
            let milliseconds = milliseconds(&entry.timestamp).or(self.milliseconds);
            if milliseconds < start {
                has_older = true;
                continue;
            }
            if milliseconds == start
                && let Some(index) = read_before.iter().position(|read| *read == entry)
            {
                read_before.remove(index);
                continue;
            }
            if milliseconds > self.milliseconds {
                self.milliseconds = milliseconds;
                self.read.clear();
            }
            if milliseconds == self.milliseconds {
                self.read.push_back(entry.clone());
            }
            new.push(entry);
        }
        let gap = match start {
            _ if !new.is_empty() || !is_full => None,
            Some(start) if !has_older => {
                *self = Self::at(Some(start + 1));
                Some(LogGap::FullMillisecond)
            }
            _ => Some(LogGap::NotAdvancing),
        };
        NewEntries { entries: new, gap }
    }
}

/// Returns the milliseconds since the Unix epoch of an RFC 3339 time.
pub(super) fn milliseconds(timestamp: &str) -> Option<i64> {
    let time = humantime::parse_rfc3339_weak(timestamp);
    time.ok().map(unix_milliseconds)
}

/// Returns the milliseconds since the Unix epoch.
pub(super) fn unix_milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str, message: &str) -> LogEntry {
        let timestamp = format!("2026-01-01T00:00:00.{time}Z");
        let entry =
            serde_json::json!({"timestamp": timestamp, "level": "info", "message": message});
        serde_json::from_value(entry).expect("a log entry")
    }

    fn messages(new: NewEntries) -> Vec<String> {
        assert_eq!(new.gap, None);
        new.entries.into_iter().map(|entry| entry.message).collect()
    }

    #[test]
    fn lines_of_one_millisecond_are_read_once() {
        let mut position = LogPosition::default();
        // Each answer begins at the last millisecond of the one before.
        for (answer, new) in [
            (
                vec![at("001000", "a"), at("002100", "b"), at("002200", "c")],
                vec!["a", "b", "c"],
            ),
            (
                vec![
                    at("002100", "b"),
                    at("002200", "c"),
                    at("002900", "d"),
                    at("003", "e"),
                ],
                vec!["d", "e"],
            ),
            (vec![at("003", "e")], vec![]),
            (vec![at("003", "e"), at("003", "e")], vec!["e"]),
            // The platform has dropped the earlier lines.
            (vec![at("003", "f")], vec!["f"]),
            (vec![at("003", "f"), at("003", "g")], vec!["g"]),
            // A line that arrived late.
            (vec![at("003", "h"), at("003", "e")], vec!["h"]),
        ] {
            let expected: Vec<String> = new.into_iter().map(str::to_owned).collect();
            assert_eq!(messages(position.advance(answer, false)), expected);
        }
    }

    #[test]
    fn a_millisecond_with_too_many_lines_is_skipped() {
        let mut position = LogPosition::default();
        let full = vec![at("001", "a"), at("001", "b")];
        assert_eq!(messages(position.advance(full.clone(), true)), ["a", "b"]);
        let start = position.milliseconds();
        let gap = position.advance(full.clone(), true).gap;
        assert_eq!(gap, Some(LogGap::FullMillisecond));
        assert_eq!(position.milliseconds(), start.map(|start| start + 1));
        let rest = vec![at("002", "c")];
        assert_eq!(messages(position.advance(rest, false)), ["c"]);
        // The platform returns the full millisecond again.
        let gap = position.advance(full, true).gap;
        assert_eq!(gap, Some(LogGap::NotAdvancing));
        assert_eq!(position.milliseconds(), start.map(|start| start + 1));
    }

    #[test]
    fn a_platform_that_ignores_the_start_does_not_move_the_position_back() {
        for lines in [
            vec![at("001", "a"), at("002", "b"), at("002", "c")],
            // Not in the order of their times.
            vec![
                at("002", "a"),
                at("001", "b"),
                at("003", "c"),
                at("002", "d"),
            ],
        ] {
            let mut position = LogPosition::default();
            let all: Vec<_> = lines.iter().map(|line| line.message.clone()).collect();
            assert_eq!(messages(position.advance(lines.clone(), true)), all);
            let end = position.milliseconds();
            for _ in 0..3 {
                let again = position.advance(lines.clone(), true);
                assert_eq!(again.entries, [], "{lines:?}");
                assert_eq!(again.gap, Some(LogGap::NotAdvancing));
                assert_eq!(position.milliseconds(), end);
            }
            // A line after all earlier ones is read once.
            let mut more = lines.clone();
            more.push(at("004", "new"));
            assert_eq!(messages(position.advance(more.clone(), true)), ["new"]);
            let again = position.advance(more, true);
            assert_eq!(again.entries, []);
            assert_eq!(again.gap, Some(LogGap::NotAdvancing));
        }
        let mut without_time = at("001", "a");
        without_time.timestamp.clear();
        let mut position = LogPosition::default();
        let lines = vec![without_time];
        assert_eq!(messages(position.advance(lines.clone(), true)), ["a"]);
        for _ in 0..3 {
            let again = position.advance(lines.clone(), true);
            assert_eq!(again.entries, []);
            assert_eq!(again.gap, Some(LogGap::NotAdvancing));
        }
    }
}
