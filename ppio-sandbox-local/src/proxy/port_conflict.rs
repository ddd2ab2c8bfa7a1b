//! Finds the program that holds a port on which a sandbox does not listen.
//!
//! Sandboxes share the ports of this machine. An agent that always opens 8080 instead of the port
//! in `PPIO_AGENT_PORT` cannot start while another agent does the same, and the error of the agent
//! that cannot start is only in its own logs. Callers get the reason; which sandbox holds the port
//! is only in the platform's log.

use std::fmt;
use std::sync::Arc;

use super::port_owner::{self, ProcessSearch};
use crate::processes::ListenerTable;
use crate::sandbox::{AGENT_PORT, LocalSandbox, SandboxLogLevel, SandboxRegistry};

/// A port of a sandbox on which something else on this machine listens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PortConflict {
    port: u16,
    holder: PortHolder,
}

#[derive(Debug, PartialEq, Eq)]
enum PortHolder {
    Sandbox(String),
    /// A program outside the sandboxes of this platform.
    Program,
}

impl PortConflict {
    /// Finds the conflict at a port on which nothing in `sandbox` listens. Blocks.
    pub(super) fn find(
        sandbox: &LocalSandbox,
        port: u16,
        sandboxes: &SandboxRegistry,
    ) -> Option<Self> {
        if sandbox.sandbox_processes().network().is_own() {
            return None;
        }
        let real_port = sandbox.real_port(port);
        let table = ListenerTable::read(&[real_port, port]);
        // Usually nothing holds the real port, which is reserved for this sandbox.
        [real_port, port].into_iter().find_map(|port| {
            let sockets = table.all(port);
            if sockets.is_empty() {
                return None;
            }
            let holds = |other: &LocalSandbox| {
                let held = |socket: &u64| {
                    port_owner::owns(other, &table, &[*socket].into(), ProcessSearch::All)
                };
                sockets.iter().any(held)
            };
            let other = sandboxes
                .list()
                .into_iter()
                .find(|other| other.id != sandbox.id && holds(other));
            let holder = other.map_or(PortHolder::Program, |other| {
                PortHolder::Sandbox(other.id.clone())
            });
            Some(Self { port, holder })
        })
    }

    /// Adds the conflict to the sandbox's log, and with the holder to the platform's log. Logs each
    /// conflict only once, because callers try again.
    pub(super) fn log(&self, sandbox: &Arc<LocalSandbox>) {
        if sandbox
            .logs
            .push_once(SandboxLogLevel::Warn, &self.to_string())
        {
            let holder = match &self.holder {
                PortHolder::Sandbox(id) => id,
                PortHolder::Program => "a program outside all sandboxes",
            };
            tracing::warn!(sandbox = %sandbox.id, %holder, "{self}");
        }
    }
}

impl fmt::Display for PortConflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        let (holder, end_it) = match &self.holder {
            PortHolder::Sandbox(_) => (
                "another sandbox",
                "kill the sandbox that the platform's log names",
            ),
            PortHolder::Program => ("a program outside all sandboxes", "end that program"),
        };
        let instead = if port == AGENT_PORT {
            "the port in PPIO_AGENT_PORT, which is this sandbox's own"
        } else {
            "another port"
        };
        write!(
            formatter,
            "the sandbox is running, but nothing in it listens on port {port}. Sandboxes share the \
             ports of this machine, and {holder} has port {port}: make the server in this sandbox \
             listen on {instead}, or {end_it} and start the server again"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_has_a_cause_and_help() {
        for (port, holder, parts) in [
            (
                8080,
                PortHolder::Sandbox("iother".into()),
                [
                    "another sandbox has port 8080",
                    "PPIO_AGENT_PORT",
                    "the platform's log",
                ],
            ),
            (
                3000,
                PortHolder::Program,
                ["a program outside", "another port", "end that program"],
            ),
        ] {
            let text = PortConflict { port, holder }.to_string();
            for part in parts {
                assert!(text.contains(part), "{part}: {text}");
            }
            assert!(!text.contains("iother"), "{text}");
        }
    }
}
