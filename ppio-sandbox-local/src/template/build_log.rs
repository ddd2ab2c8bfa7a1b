//! The lines that a build writes while it runs.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

use crate::sandbox::{LogBuffer, SandboxLogLevel, SandboxLogLine};

/// The field of a log line with the number of its step.
pub(crate) const STEP_FIELD: &str = "step";

/// The log of a build.
#[derive(Debug, Default)]
pub(crate) struct BuildLogWriter {
    lines: LogBuffer,
    /// The number of the current step, 0 before the first and after the last.
    step: AtomicUsize,
    pub(super) progress: watch::Sender<BuildProgress>,
}

/// The progress of a build, for calls that follow it.
#[derive(Debug, Default)]
pub(super) struct BuildProgress {
    pub(super) lines: usize,
    pub(super) over: bool,
}

impl BuildLogWriter {
    /// Adds a line, which belongs to the current step.
    pub(crate) fn push(&self, level: SandboxLogLevel, message: impl Into<String>) {
        match self.step.load(Ordering::Relaxed) {
            0 => self.lines.push(level, message, &[]),
            step => self
                .lines
                .push(level, message, &[(STEP_FIELD, &step.to_string())]),
        }
        self.progress.send_modify(|progress| progress.lines += 1);
    }

    pub(crate) fn snapshot(&self) -> Vec<SandboxLogLine> {
        self.lines.snapshot()
    }

    /// Sets the step that lines belong to from now on, counted from 1; `None` for no step.
    pub(super) fn enter(&self, step: Option<usize>) {
        self.step.store(step.unwrap_or(0), Ordering::Relaxed);
    }
}
