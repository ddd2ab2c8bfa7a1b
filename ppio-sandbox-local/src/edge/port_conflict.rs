//! Who else holds a port that a sandbox does not answer on.
//!
//! Sandboxes share the ports of this machine. An agent that insists on 8080 instead of the port in
//! `PPIO_AGENT_PORT` cannot start while another does the same, and its own complaint is in its logs
//! only. Whoever calls it is told here.

use std::fmt;
use std::sync::Arc;

use super::ports_of;
use crate::sandbox::{AGENT_PORT, Level, Registry, Sandbox};

/// A port of a sandbox that somebody else on this machine listens on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PortConflict {
    port: u16,
    holder: Holder,
}

#[derive(Debug, PartialEq, Eq)]
enum Holder {
    Sandbox(String),
    /// A program that is in no sandbox of this platform.
    Program,
}

impl PortConflict {
    /// Looks for one, for a port on which nothing in `sandbox` listens. Blocks.
    pub(super) fn find(sandbox: &Sandbox, port: u16, sandboxes: &Registry) -> Option<Self> {
        let sockets = ports_of::listening_sockets(port);
        if sockets.is_empty() {
            return None;
        }
        let other = sandboxes
            .list()
            .into_iter()
            .find(|other| other.id != sandbox.id && ports_of::holds(other, &sockets));
        let holder = other.map_or(Holder::Program, |other| Holder::Sandbox(other.id.clone()));
        Some(Self { port, holder })
    }

    /// Says so in the logs of the sandbox, which its owner can read, and of the platform. Once:
    /// callers come back.
    pub(super) fn log(&self, sandbox: &Arc<Sandbox>) {
        let message = self.to_string();
        if sandbox.logs.push_once(Level::Warn, &message) {
            tracing::warn!(sandbox = %sandbox.id, "{message}");
        }
    }
}

impl fmt::Display for PortConflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        write!(
            formatter,
            "the sandbox is running, but nothing in it listens on port {port}. Sandboxes share the \
             ports of this machine, and "
        )?;
        let end_it = match &self.holder {
            Holder::Sandbox(id) => {
                write!(formatter, "sandbox {id} has port {port}")?;
                format!("kill sandbox {id}")
            }
            Holder::Program => {
                write!(formatter, "a program outside all sandboxes has port {port}")?;
                "end that program".to_owned()
            }
        };
        let instead = if port == AGENT_PORT {
            "the port in PPIO_AGENT_PORT, which is this sandbox's own"
        } else {
            "another port"
        };
        write!(
            formatter,
            ": make the server in this sandbox listen on {instead}, or {end_it} and start the server again"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_says_what_to_do() {
        for (port, holder, parts) in [
            (
                8080,
                Holder::Sandbox("iother".into()),
                [
                    "sandbox iother has port 8080",
                    "PPIO_AGENT_PORT",
                    "kill sandbox iother",
                ],
            ),
            (
                3000,
                Holder::Program,
                ["a program outside", "another port", "end that program"],
            ),
        ] {
            let text = PortConflict { port, holder }.to_string();
            for part in parts {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
    }
}
