//! The modes in which the local platform isolates sandboxes.

use ppio_sandbox_local::IsolationKind;

/// A mode of isolating sandboxes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IsolationMode {
    /// The kind of isolation that hides the machine from sandboxes.
    pub(crate) isolation: IsolationKind,
    /// Whether cgroups, where they can be created, freeze and kill processes; otherwise signals do.
    pub(crate) cgroups: bool,
}

impl IsolationMode {
    /// Returns all modes. Where bubblewrap does not work, a platform with it does not start, and
    /// its test fails.
    pub(crate) fn all() -> Vec<Self> {
        [IsolationKind::ProcessGroup, IsolationKind::Bubblewrap]
            .into_iter()
            .flat_map(|isolation| [true, false].map(|cgroups| Self { isolation, cgroups }))
            .collect()
    }
}
