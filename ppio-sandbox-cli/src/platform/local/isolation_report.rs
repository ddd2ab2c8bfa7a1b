//! What the platform on this machine keeps its sandboxes to, and what not.

use ppio_sandbox_local::{IsolationKind, RunningPlatform, UnenforcedLimit};
use serde::Serialize;

/// Part of the reports of `local up` and `local status`.
#[derive(Debug, Serialize)]
pub(crate) struct Confinement {
    pub(crate) isolation: String,
    /// Sandboxes have none of their own.
    network: &'static str,
    pub(crate) unenforced_limits: Vec<UnenforcedLimit>,
}

impl Confinement {
    pub(crate) fn of(running: &RunningPlatform) -> Self {
        Self {
            isolation: running.isolation().to_owned(),
            network: "host",
            unenforced_limits: running.unenforced_limits().to_vec(),
        }
    }

    /// The lines of a report.
    pub(crate) fn text(&self) -> String {
        let limits = if self.unenforced_limits.is_empty() {
            "all enforced".to_owned()
        } else {
            format!("not enforced: {}", names(&self.unenforced_limits))
        };
        format!(
            "isolation  {}\nnetwork    this machine's\nlimits     {limits}",
            self.isolation
        )
    }

    fn is_apart(&self) -> bool {
        self.isolation != IsolationKind::ProcessGroup.to_string()
    }

    /// The warnings in one line, for a platform that another command starts.
    pub(crate) fn summary(&self) -> String {
        let mut parts = Vec::new();
        if !self.is_apart() {
            parts.push("are not kept apart from this machine".to_owned());
        }
        parts.push("share this machine's network".to_owned());
        if !self.unenforced_limits.is_empty() {
            parts.push(format!(
                "have no limit of {}",
                names(&self.unenforced_limits)
            ));
        }
        format!(
            "its sandboxes {}; `ppio-sandbox-cli local status` says more",
            parts.join(", ")
        )
    }

    /// What the machine's owner should know before an agent runs, one warning each.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.is_apart() {
            warnings.push(
                "sandboxes are not kept apart from this machine: run only agents that you trust, or install bubblewrap"
                    .to_owned(),
            );
        }
        warnings.push(
            "sandboxes share this machine's network: they reach what listens on its loopback addresses and in its \
             networks"
                .to_owned(),
        );
        warnings.extend(self.unenforced_limits.iter().map(|limit| {
            format!(
                "no limit of {} is enforced: {}",
                limit.resource(),
                limit.reason()
            )
        }));
        warnings
    }
}

/// The resources without a limit, as `memory, disk`.
pub(crate) fn names(limits: &[UnenforcedLimit]) -> String {
    let names: Vec<_> = limits.iter().map(UnenforcedLimit::resource).collect();
    names.join(", ")
}
