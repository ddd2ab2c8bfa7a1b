//! Finds the processes of sandboxes without a cgroup, and of sandboxes whose platform is gone.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};

use super::marks::{GROUPS_FILE, LOCKS_FILE, MARK_VARIABLE};
use super::process_stat::{ProcessStat, all_processes};

/// Returns the processes of the sandbox in `directory`.
pub(crate) fn find_by_marks(directory: &Path) -> io::Result<Vec<i32>> {
    search(directory, &[directory.to_owned()])
}

/// Returns the processes of all `sandboxes`, and those started for other sandboxes below
/// `directory`.
///
/// A process belongs to a sandbox when one of four things holds: the mark is in the environment
/// that it was started with, which children inherit; its process group is one of the sandbox's; its
/// parent belongs to the sandbox; or it has the sandbox's limit of file locks.
pub(super) fn search(directory: &Path, sandboxes: &[PathBuf]) -> io::Result<Vec<i32>> {
    let mut mark = format!("{MARK_VARIABLE}=").into_bytes();
    mark.extend_from_slice(directory.as_os_str().as_bytes());
    let groups = groups_of(sandboxes);
    let locks = locks_of(sandboxes);
    let mut found = BTreeSet::new();
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let all = all_processes()?;
    for (pid, stat) in &all {
        children.entry(stat.parent).or_default().push(*pid);
        let in_group = groups.get(&stat.group).is_some_and(|started| {
            // The number of a group that has ended may be reused.
            all.get(&stat.group)
                .is_none_or(|leader| leader.started == *started)
        });
        if in_group
            || is_marked(*pid, &mark)
            || lock_limit(*pid).is_some_and(|limit| locks.contains(&limit))
        {
            found.insert(*pid);
        }
    }
    let mut pending: Vec<_> = found.iter().copied().collect();
    while let Some(parent) = pending.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if found.insert(*child) {
                pending.push(*child);
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Returns the processes of a process namespace, given by the target of a link
/// `/proc/<pid>/ns/pid`.
pub(crate) fn in_namespace(wanted: &Path) -> io::Result<Vec<i32>> {
    let all = all_processes()?.into_keys();
    Ok(all.filter(|pid| is_in_namespace(*pid, wanted)).collect())
}

/// Whether a process is in this process namespace.
pub(crate) fn is_in_namespace(pid: i32, wanted: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|namespace| namespace == wanted)
}

/// Returns the running processes that were started for the sandbox in `directory`, and their
/// descendants.
///
/// `first` is the first process of the sandbox's process namespace, unless that process has ended.
/// The descendants of `first` are included, because `first` becomes the parent of processes in the
/// namespace whose parent has ended. Reads no other process of this machine. `None` if the kernel
/// does not list children.
pub(crate) fn find_descendants(directory: &Path, first: Option<i32>) -> Option<Vec<i32>> {
    let started = groups_of(&[directory.to_owned()]).into_iter();
    let mut pending: Vec<_> = started
        .filter(|(pid, started)| {
            ProcessStat::read(*pid).is_some_and(|stat| stat.started == *started)
        })
        .map(|(pid, _)| pid)
        .chain(first)
        .collect();
    let mut found = BTreeSet::new();
    while let Some(pid) = pending.pop() {
        if !found.insert(pid) {
            continue;
        }
        pending.extend(listed_children(pid)?);
    }
    found.retain(|pid| ProcessStat::read(*pid).is_some());
    Some(found.into_iter().collect())
}

/// Returns the processes that `parent` started.
pub(crate) fn children_of(parent: i32) -> io::Result<Vec<i32>> {
    if let Some(children) = listed_children(parent) {
        return Ok(children);
    }
    let all = all_processes()?.into_iter();
    Ok(all
        .filter_map(|(pid, stat)| (stat.parent == parent).then_some(pid))
        .collect())
}

/// Returns the children of all threads of a process; empty if it has ended. `None` if the kernel
/// does not list them, because the kernel was built without checkpoint support.
fn listed_children(pid: i32) -> Option<Vec<i32>> {
    let mut found = Vec::new();
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    for thread in threads.into_iter().flatten().flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(children) => {
                let children = children.split_ascii_whitespace();
                found.extend(children.filter_map(|child| child.parse::<i32>().ok()));
            }
            Err(_) if thread.path().exists() => return None,
            Err(_) => {}
        }
    }
    Some(found)
}

/// Returns the processes that descend from `roots`, or are in a session that a root or a found
/// process led, without `roots` themselves.
pub(crate) fn descendants(roots: &[i32]) -> io::Result<Vec<i32>> {
    let all = all_processes()?;
    let mut found: BTreeSet<_> = roots.iter().copied().collect();
    loop {
        let before = found.len();
        for stat in all.values() {
            if found.contains(&stat.parent) || found.contains(&stat.session) {
                found.insert(stat.pid);
            }
        }
        if found.len() == before {
            break;
        }
    }
    Ok(found
        .into_iter()
        .filter(|pid| !roots.contains(pid) && all.contains_key(pid))
        .collect())
}

fn is_marked(pid: i32, mark: &[u8]) -> bool {
    // The process has ended, or is another user's.
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    environment.split(|byte| *byte == 0).any(|variable| {
        variable
            .strip_prefix(mark)
            .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    })
}

/// Returns the hard limit of file locks of a process. `None` for no limit, or if the process has
/// ended.
fn lock_limit(pid: i32) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    limits.lines().find_map(lock_limit_in)
}

fn lock_limit_in(line: &str) -> Option<u64> {
    let hard = line
        .strip_prefix("Max file locks")?
        .split_ascii_whitespace()
        .nth(1)?;
    hard.parse().ok()
}

/// Returns the limits of file locks that mark the processes of `sandboxes`.
fn locks_of(sandboxes: &[PathBuf]) -> HashSet<u64> {
    sandboxes
        .iter()
        .filter_map(|sandbox| fs::read_to_string(sandbox.join(LOCKS_FILE)).ok())
        .filter_map(|text| text.trim().parse().ok())
        .collect()
}

/// Returns the process groups started for `sandboxes`, each with the time at which its leader
/// started.
fn groups_of(sandboxes: &[PathBuf]) -> HashMap<i32, u64> {
    sandboxes
        .iter()
        .filter_map(|sandbox| fs::read_to_string(sandbox.join(GROUPS_FILE)).ok())
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| {
                    let stat = ProcessStat::parse(line)?;
                    Some((stat.pid, stat.started))
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

pub(crate) fn signal(pids: &[i32], signal: Signal) {
    for pid in pids.iter().copied().filter_map(Pid::from_raw) {
        // An error means that the process has ended.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_limits_are_read() {
        for (line, expected) in [
            (
                "Max file locks            unlimited            unlimited            locks     ",
                None,
            ),
            (
                "Max file locks            7                    2305843009213693952  locks     ",
                Some(1 << 61),
            ),
            (
                "Max pending signals       7                    7                    signals   ",
                None,
            ),
            ("Max file locks", None),
        ] {
            assert_eq!(lock_limit_in(line), expected, "{line}");
        }
    }
}
