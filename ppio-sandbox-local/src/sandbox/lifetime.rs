//! Whether a sandbox runs, and when its timeout ends.

use std::time::SystemTime;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SandboxPhase {
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
pub(crate) struct Lifetime {
    pub(crate) phase: SandboxPhase,
    pub(crate) end_at: SystemTime,
    pub(crate) on_timeout: OnTimeout,
}
