//! The ways in which the local platform isolates sandboxes.

use ppio_sandbox_local::IsolationKind;

/// One way to isolate sandboxes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IsolationMode {
    /// What hides the machine from sandboxes.
    pub(crate) isolation: IsolationKind,
    /// Whether cgroups freeze and kill, where they can be made, or signals.
    pub(crate) cgroups: bool,
}

impl IsolationMode {
    /// All modes. A platform with bubblewrap does not start where bubblewrap does not work, and its test fails.
    pub(crate) fn all() -> Vec<Self> {
        [IsolationKind::ProcessGroup, IsolationKind::Bubblewrap]
            .into_iter()
            .flat_map(|isolation| [true, false].map(|cgroups| Self { isolation, cgroups }))
            .collect()
    }
}
