//! The TCP ports of a process group, from `/proc`.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTEN_STATE: &str = "0A";

/// The ports on which processes of the group listen; empty without `/proc`. Blocks.
pub(super) fn listening_ports(group: Pid) -> BTreeSet<u16> {
    let group = group.as_raw_nonzero().to_string();
    let processes: Vec<_> = entries(Path::new("/proc"))
        .filter(|process| group_of(process).is_some_and(|other| other == group))
        .collect();
    let sockets: HashSet<_> = processes
        .iter()
        .flat_map(|process| entries(&process.join("fd")))
        .filter_map(|descriptor| socket(&descriptor))
        .collect();
    // Assumes that they share the network namespace of the first.
    let tables = processes.first().map(|process| process.join("net"));
    let tables = tables
        .into_iter()
        .flat_map(|net| [net.join("tcp"), net.join("tcp6")])
        .filter_map(|table| fs::read_to_string(table).ok());
    tables
        .flat_map(|table| listeners(&table))
        .filter(|(_, socket)| sockets.contains(socket))
        .map(|(port, _)| port)
        .collect()
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

fn group_of(process: &Path) -> Option<String> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // After the name, which may hold any character: the state, the parent, the group.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(2).map(str::to_owned)
}

/// The inode of the socket that a descriptor refers to.
fn socket(descriptor: &Path) -> Option<String> {
    let target = fs::read_link(descriptor).ok()?;
    let number = target.to_str()?.strip_prefix("socket:[")?;
    number.strip_suffix(']').map(str::to_owned)
}

/// The ports and inodes of the listening sockets in a table of `/proc/net`.
fn listeners(table: &str) -> Vec<(u16, String)> {
    let listener = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let (address, state, socket) = (columns.get(1)?, *columns.get(3)?, *columns.get(9)?);
        let (_, port) = address.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        (state == LISTEN_STATE).then(|| (port, socket.to_owned()))
    };
    table.lines().filter_map(listener).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use rustix::process::{getpgid, getpid};

    use super::*;

    #[test]
    fn ports_of_the_group_are_found_while_they_are_open() {
        let group = getpgid(None).unwrap();
        for address in ["127.0.0.1:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                // This machine has no IPv6.
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            assert!(listening_ports(group).contains(&port), "{address}");
            drop(listener);
            // A process that another test is starting has the descriptors until its exec.
            let deadline = Instant::now() + Duration::from_secs(20);
            while listening_ports(group).contains(&port) {
                assert!(Instant::now() < deadline, "{address}");
            }
        }
        // No group has this id unless this process leads one.
        if getpid() != group {
            assert!(listening_ports(getpid()).is_empty());
        }
    }
}
