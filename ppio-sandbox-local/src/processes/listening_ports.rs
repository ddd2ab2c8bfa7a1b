//! The sockets of processes, and the ports that they listen on.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::Path;

use super::listener_table::ListenerTable;
use super::process_stat::all_processes;

/// Returns the inodes of the sockets that a process has open; `process` is its directory in a
/// `/proc`. Empty for a process that has ended or cannot be read.
pub(crate) fn open_sockets(process: &Path) -> impl Iterator<Item = u64> + use<> {
    let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten();
    descriptors.flatten().filter_map(|descriptor| {
        let target = fs::read_link(descriptor.path()).ok()?;
        let inode = target.to_str()?.strip_prefix("socket:[")?;
        inode.strip_suffix(']')?.parse().ok()
    })
}

/// Returns the TCP ports on which the processes of a process group listen. The ports of a process
/// whose open files the caller may not read are missing. Blocks for some milliseconds.
///
/// # Errors
///
/// If `/proc` cannot be read, or `process_group` is larger than `i32::MAX`.
///
/// ```
/// # fn example(child: &std::process::Child) -> std::io::Result<()> {
/// // A child that was started as the leader of a process group.
/// let ports = ppio_sandbox_local::listening_ports(child.id())?;
/// if !ports.contains(&8080) {
///     eprintln!("the program listens on {ports:?}");
/// }
/// # Ok(())
/// # }
/// ```
pub fn listening_ports(process_group: u32) -> io::Result<BTreeSet<u16>> {
    let group = i32::try_from(process_group).map_err(io::Error::other)?;
    let in_group = all_processes()?
        .into_values()
        .filter(|stat| stat.group == group);
    let sockets: HashSet<_> = in_group
        .flat_map(|stat| open_sockets(Path::new(&format!("/proc/{}", stat.pid))))
        .collect();
    Ok(ListenerTable::read_all().ports_of(&sockets))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use rustix::process::{getpgid, getpid};

    use super::*;

    #[test]
    fn a_group_has_the_ports_of_its_processes() {
        let group = getpgid(None).unwrap().as_raw_nonzero().get().unsigned_abs();
        for address in ["127.0.0.1:0", "[::]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let port = listener.local_addr().unwrap().port();
            assert!(listening_ports(group).unwrap().contains(&port), "{address}");
            drop(listener);
            // A program that another test is starting holds copies of the open sockets until its
            // `exec`.
            let deadline = Instant::now() + Duration::from_secs(20);
            while listening_ports(group).unwrap().contains(&port) {
                assert!(Instant::now() < deadline, "{address}");
            }
        }
        // No process group has the pid of this process as its number, unless this process leads its
        // group.
        let other = getpid().as_raw_nonzero().get().unsigned_abs();
        assert!(other == group || listening_ports(other).unwrap().is_empty());
    }
}
