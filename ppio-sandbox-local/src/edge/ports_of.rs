//! Which ports the processes of a sandbox really listen on.
//!
//! Sandboxes share this machine's network, so a port that a sandbox did not open itself may be
//! another sandbox's, or a database of the developer. Nobody is led there.

use std::collections::HashSet;
use std::fs;

use crate::sandbox::Sandbox;

/// State "listen" in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Whether a process of `sandbox` listens on `port`. Blocks on file system calls.
pub(super) fn listens(sandbox: &Sandbox, port: u16) -> bool {
    holds(sandbox, &listening_sockets(port))
}

/// Whether a process of `sandbox` has one of these sockets open.
pub(super) fn holds(sandbox: &Sandbox, sockets: &HashSet<String>) -> bool {
    if sockets.is_empty() {
        return false;
    }
    let processes = sandbox.enclosure.processes().unwrap_or_default();
    processes.into_iter().any(|pid| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        descriptors
            .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
            .any(|target| {
                target
                    .to_str()
                    .and_then(socket_inode)
                    .is_some_and(|inode| sockets.contains(inode))
            })
    })
}

fn socket_inode(target: &str) -> Option<&str> {
    target.strip_prefix("socket:[")?.strip_suffix(']')
}

/// The inodes of the sockets that listen on `port`.
pub(super) fn listening_sockets(port: u16) -> HashSet<String> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| {
            table
                .lines()
                .skip(1)
                .filter_map(|line| inode_of_listener(line, port))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn inode_of_listener(line: &str, port: u16) -> Option<String> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let (_, hex_port) = fields.get(1)?.rsplit_once(':')?;
    let matches = u16::from_str_radix(hex_port, 16).ok()? == port && *fields.get(3)? == LISTEN;
    matches
        .then(|| fields.get(9).map(|inode| (*inode).to_owned()))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_found_by_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listening_sockets(port).len(), 1);
        drop(listener);
        assert!(listening_sockets(port).is_empty());
    }
}
