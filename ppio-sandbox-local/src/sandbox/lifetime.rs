//! Whether a sandbox runs, and when its timeout ends.

use std::time::SystemTime;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SandboxPhase {
    Running,
    Paused,
    /// The sandbox is being killed, or was killed.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnTimeout {
    Kill,
    Pause(PauseKind),
}

/// The state that a pause keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PauseKind {
    /// Processes are stopped, and continue when the sandbox is resumed.
    Memory,
    /// Processes are ended. The start command of the template runs again when the sandbox is
    /// resumed.
    Files,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    pub(crate) phase: SandboxPhase,
    pub(crate) end_at: SystemTime,
    pub(crate) on_timeout: OnTimeout,
    /// The kind of the last pause; `Memory` before the first pause.
    pub(crate) paused: PauseKind,
}
