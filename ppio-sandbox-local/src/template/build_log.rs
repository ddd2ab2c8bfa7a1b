//! The lines that a build writes while it runs.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

use crate::sandbox::{LogBuffer, LogLevel, LogLine};

/// The field of a log line with the number of its step.
pub(crate) const STEP_FIELD: &str = "step";

/// What a build says about itself while it runs.
#[derive(Debug, Default)]
pub(crate) struct BuildLogWriter {
    lines: LogBuffer,
    /// The number of the step under way, 0 outside of all.
    step: AtomicUsize,
    pub(super) progress: watch::Sender<BuildProgress>,
}

/// Wakes those who follow a build.
#[derive(Debug, Default)]
pub(super) struct BuildProgress {
    pub(super) lines: usize,
    pub(super) over: bool,
}

impl BuildLogWriter {
    /// Adds a line, which belongs to the step under way.
    pub(crate) fn push(&self, level: LogLevel, message: impl Into<String>) {
        match self.step.load(Ordering::Relaxed) {
            0 => self.lines.push(level, message, &[]),
            step => self
                .lines
                .push(level, message, &[(STEP_FIELD, &step.to_string())]),
        }
        self.progress.send_modify(|progress| progress.lines += 1);
    }

    pub(crate) fn snapshot(&self) -> Vec<LogLine> {
        self.lines.snapshot()
    }

    /// From now on lines belong to this step, counted from 1, or to none.
    pub(super) fn enter(&self, step: Option<usize>) {
        self.step.store(step.unwrap_or(0), Ordering::Relaxed);
    }
}
