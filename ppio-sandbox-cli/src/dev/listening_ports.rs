//! Where a program really listens, as far as the system tells.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

/// How `/proc/net/tcp` writes that a socket listens.
const LISTENS: &str = "0A";

/// The TCP ports on which processes of the group listen; none where there is no `/proc`. Blocks for a moment.
pub(super) fn ports(group: Pid) -> BTreeSet<u16> {
    let group = group.as_raw_nonzero().to_string();
    let processes: Vec<_> = entries(Path::new("/proc"))
        .filter(|process| group_of(process).is_some_and(|other| other == group))
        .collect();
    let sockets: HashSet<_> = processes
        .iter()
        .flat_map(|process| entries(&process.join("fd")))
        .filter_map(|descriptor| socket(&descriptor))
        .collect();
    // All of them are in the network of the first, unless they went out of their way.
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
    // Behind the name, which may hold anything: the state, the parent, the group.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(2).map(str::to_owned)
}

/// The number of the socket that a descriptor stands for.
fn socket(descriptor: &Path) -> Option<String> {
    let target = fs::read_link(descriptor).ok()?;
    let number = target.to_str()?.strip_prefix("socket:[")?;
    number.strip_suffix(']').map(str::to_owned)
}

/// The ports and sockets that listen, of a table as the system writes it.
fn listeners(table: &str) -> Vec<(u16, String)> {
    let listener = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let (address, state, socket) = (columns.get(1)?, *columns.get(3)?, *columns.get(9)?);
        let (_, port) = address.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        (state == LISTENS).then(|| (port, socket.to_owned()))
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
    fn the_ports_of_a_group_are_its_own() {
        let group = getpgid(None).unwrap();
        for address in ["127.0.0.1:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                // No IPv6 here.
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            assert!(ports(group).contains(&port), "{address}");
            drop(listener);
            // A program that another test starts just now holds what is open until it runs.
            let deadline = Instant::now() + Duration::from_secs(20);
            while ports(group).contains(&port) {
                assert!(Instant::now() < deadline, "{address}");
            }
        }
        // A group that nobody is in.
        let nobody = getpid().as_raw_nonzero().get();
        if nobody != group.as_raw_nonzero().get() {
            assert!(ports(getpid()).is_empty());
        }
    }
}
