//! The log of a sandbox: the last lines that its processes printed, and messages of the platform.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// The maximum number of lines that are kept; older ones are dropped.
const MAX_ENTRIES: usize = 10_000;
/// The shortest time between two lines. Clients request the lines from a millisecond on, so no
/// millisecond may have more lines than a response.
const LINE_INTERVAL: Duration = Duration::from_micros(1);
/// The size at which a line that has not ended is cut, in bytes.
const MAX_LINE: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SandboxLogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

impl SandboxLogLevel {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Debug, Self::Info, Self::Warn, Self::Error]
            .into_iter()
            .find(|level| level.as_str() == text)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct SandboxLogLine {
    pub(crate) time: SystemTime,
    pub(crate) level: SandboxLogLevel,
    pub(crate) message: String,
    pub(crate) fields: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
pub(crate) struct LogBuffer {
    entries: Mutex<VecDeque<SandboxLogLine>>,
}

impl LogBuffer {
    pub(crate) fn push(
        &self,
        level: SandboxLogLevel,
        message: impl Into<String>,
        fields: &[(&str, &str)],
    ) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        // The time is read under the lock and never decreases: a client would miss a line that is
        // older than the last.
        let now = SystemTime::now();
        let time = entries
            .back()
            .map_or(now, |last| now.max(last.time + LINE_INTERVAL));
        let entry = SandboxLogLine {
            time,
            level,
            message: message.into(),
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        if entries.len() == MAX_ENTRIES {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// Adds a line unless a kept line has the same message. Returns whether the line was added.
    pub(crate) fn push_once(&self, level: SandboxLogLevel, message: &str) -> bool {
        let said = self
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .any(|entry| entry.message == message);
        if !said {
            self.push(level, message, &[]);
        }
        !said
    }

    pub(crate) fn snapshot(&self) -> Vec<SandboxLogLine> {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}

/// Cuts a stream of bytes into lines. Empty lines are left out.
#[derive(Debug, Default)]
pub(crate) struct LineCutter {
    rest: Vec<u8>,
}

impl LineCutter {
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut line: impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(&bytes[..end]);
            self.finish(&mut line);
            bytes = &bytes[end + 1..];
        }
        self.rest.extend_from_slice(bytes);
        if self.rest.len() >= MAX_LINE {
            self.finish(&mut line);
        }
    }

    /// Passes on what came after the last line break.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(&str)) {
        if self.rest.is_empty() {
            return;
        }
        line(String::from_utf8_lossy(&self.rest).trim_end_matches('\r'));
        self.rest.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_lines() {
        let mut cutter = LineCutter::default();
        let mut lines = Vec::new();
        for piece in ["one\ntw", "o\r\n\nthr", "ee"] {
            cutter.feed(piece.as_bytes(), |line| lines.push(line.to_owned()));
        }
        cutter.finish(|line| lines.push(line.to_owned()));
        assert_eq!(lines, ["one", "two", "three"]);
    }

    #[test]
    fn a_millisecond_has_no_more_lines_than_an_answer() {
        let logs = LogBuffer::default();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..2000).for_each(|_| logs.push(SandboxLogLevel::Info, "", &[])));
            }
        });
        for pair in logs.snapshot().windows(2) {
            let interval = pair[1].time.duration_since(pair[0].time);
            assert!(interval.is_ok_and(|interval| interval >= LINE_INTERVAL));
        }
    }

    #[test]
    fn the_oldest_entries_are_dropped() {
        let logs = LogBuffer::default();
        for number in 0..=MAX_ENTRIES {
            logs.push(SandboxLogLevel::Info, number.to_string(), &[]);
        }
        let entries = logs.snapshot();
        assert_eq!(entries.len(), MAX_ENTRIES);
        assert_eq!(entries[0].message, "1");
    }
}
