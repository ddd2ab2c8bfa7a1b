//! How far the local platform isolates and limits its sandboxes.

use ppio_sandbox_local::{IsolationKind, RunningPlatform, UnenforcedLimit};
use serde::Serialize;

/// Part of the output of `local up` and `local status`.
#[derive(Debug, Serialize)]
pub(crate) struct IsolationReport {
    pub(crate) isolation: String,
    /// The network of sandboxes with internet access.
    network: Network,
    /// Whether sandboxes can be created without internet access.
    offline: bool,
    /// The limits that are not enforced. Never empty, because no isolation limits the disk.
    pub(crate) unenforced_limits: Vec<UnenforcedLimit>,
}

/// The network of sandboxes with internet access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Network {
    /// The network of this machine.
    Host,
    /// A network namespace per sandbox, connected to other machines by `pasta`.
    Isolated,
}

impl IsolationReport {
    pub(crate) fn of(running: &RunningPlatform) -> Self {
        Self {
            isolation: running.isolation().to_owned(),
            network: if running.isolates_network() {
                Network::Isolated
            } else {
                Network::Host
            },
            offline: running.offline_unavailable().is_none(),
            unenforced_limits: running.unenforced_limits().to_vec(),
        }
    }

    /// Returns the lines of text output.
    pub(crate) fn text(&self) -> String {
        let limits = format!("not enforced: {}", names(&self.unenforced_limits));
        let network = match (self.network, self.offline) {
            (Network::Isolated, _) => {
                "one for each sandbox, without this machine's loopback addresses"
            }
            (Network::Host, true) => "this machine's, except for sandboxes without internet access",
            (Network::Host, false) => "this machine's",
        };
        format!(
            "isolation  {}\nnetwork    {network}\nlimits     {limits}",
            self.isolation
        )
    }

    fn is_isolated(&self) -> bool {
        self.isolation != IsolationKind::ProcessGroup.to_string()
    }

    /// Returns the main warnings in one line, for a platform that a command other than `local up`
    /// starts.
    pub(crate) fn summary(&self) -> String {
        let mut parts = Vec::new();
        if !self.is_isolated() {
            parts.push("are not isolated from this machine".to_owned());
        }
        if self.network == Network::Host {
            parts.push("share this machine's network".to_owned());
        }
        let limits = names(&self.unenforced_limits);
        parts.push(format!("have no limit for {limits}"));
        format!(
            "sandboxes of the local platform {}; see `ppio-sandbox-cli local status`",
            parts.join(" and ")
        )
    }

    /// Returns the risks of running an agent, one warning each.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.is_isolated() {
            warnings.push(
                "sandboxes are not isolated from this machine: run only agents that you trust, or \
                 install bubblewrap"
                    .to_owned(),
            );
        }
        let exception = if self.offline {
            ", unless they are created without internet access"
        } else {
            ""
        };
        warnings.push(match self.network {
            Network::Host => format!(
                "sandboxes share this machine's network: they can connect to its loopback \
                 addresses and networks{exception}"
            ),
            Network::Isolated => {
                format!("sandboxes can connect to the networks of this machine{exception}")
            }
        });
        warnings.extend(self.unenforced_limits.iter().map(|limit| {
            format!(
                "the limit for {} is not enforced: {}",
                limit.resource(),
                limit.reason()
            )
        }));
        warnings
    }
}

/// Returns the resources without an enforced limit, as `memory, disk`.
pub(crate) fn names(limits: &[UnenforcedLimit]) -> String {
    let names: Vec<_> = limits.iter().map(UnenforcedLimit::resource).collect();
    names.join(", ")
}
