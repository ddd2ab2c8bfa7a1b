//! Whether a sandbox runs, and when its timeout ends.

use std::time::SystemTime;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    Paused,
    /// Being killed, or killed.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnTimeout {
    Kill,
    Pause,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) phase: Phase,
    pub(crate) end_at: SystemTime,
    pub(crate) on_timeout: OnTimeout,
}
