//! Finding the processes of a sandbox without a cgroup, and of sandboxes whose platform is gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::enclosure::{GROUPS, MARK};

/// The processes that belong to `directory`, a sandbox's or one that holds those of sandboxes.
///
/// Three things tell: the mark in the environment that a process started with, which children
/// carry into process groups and sessions of their own; the process group, for those that cleared
/// their environment; and a parent that belongs.
pub(crate) fn of(directory: &Path) -> io::Result<Vec<i32>> {
    let mut mark = format!("{MARK}=").into_bytes();
    mark.extend_from_slice(directory.as_os_str().as_bytes());
    let groups = groups_of(directory);
    let mut found = BTreeSet::new();
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let all = processes()?;
    for (pid, stat) in &all {
        children.entry(stat.parent).or_default().push(*pid);
        let in_group = groups.get(&stat.group).is_some_and(|started| {
            // The number of a group that died out is given to new ones.
            all.get(&stat.group)
                .is_none_or(|leader| leader.started == *started)
        });
        if in_group || is_marked(*pid, &mark) {
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

/// The processes of the process namespace that `init` started, itself included.
pub(crate) fn in_namespace_of(init: i32) -> io::Result<Vec<i32>> {
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(wanted) = namespace(init) else {
        // With its first process a namespace ends.
        return Ok(Vec::new());
    };
    let all = processes()?;
    Ok(all
        .into_keys()
        .filter(|pid| namespace(*pid).as_ref() == Some(&wanted))
        .collect())
}

fn is_marked(pid: i32, mark: &[u8]) -> bool {
    // Gone meanwhile, or another user's: neither is ours.
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    environment.split(|byte| *byte == 0).any(|variable| {
        variable
            .strip_prefix(mark)
            .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    })
}

/// The process groups started for `directory` or for a sandbox right below it, each with the time
/// at which its leader started.
fn groups_of(directory: &Path) -> HashMap<i32, u64> {
    let below = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join(GROUPS));
    std::iter::once(directory.join(GROUPS))
        .chain(below)
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| {
                    let stat = Stat::parse(line)?;
                    Some((stat.pid, stat.started))
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

/// What `/proc/<pid>/stat` tells about a process.
#[derive(Debug, Clone, Copy)]
struct Stat {
    pid: i32,
    parent: i32,
    group: i32,
    started: u64,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The name in parentheses may hold anything; the other fields are numbers.
        let (head, rest) = line.rsplit_once(')')?;
        let pid = head.split(' ').next()?.parse().ok()?;
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        // A zombie is no process any more, its parent has only not looked yet.
        if *fields.first()? == "Z" {
            return None;
        }
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

fn processes() -> io::Result<BTreeMap<i32, Stat>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let is_process = entry.file_name().as_bytes().iter().all(u8::is_ascii_digit);
        if is_process
            && let Ok(line) = fs::read_to_string(entry.path().join("stat"))
            && let Some(stat) = Stat::parse(&line)
        {
            all.insert(stat.pid, stat);
        }
    }
    Ok(all)
}

pub(crate) fn signal(pids: &[i32], signal: Signal) {
    for pid in pids.iter().copied().filter_map(Pid::from_raw) {
        // A process that is gone needs no signal.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Ends what a platform that used `run_directory` left behind when even its watchdog was killed.
pub(crate) fn sweep(run_directory: &Path) -> io::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let strays = of(run_directory)?;
        if strays.is_empty() || Instant::now() >= deadline {
            break;
        }
        signal(&strays, Signal::KILL);
        std::thread::sleep(Duration::from_millis(5));
    }
    for entry in fs::read_dir(run_directory)? {
        match fs::remove_dir_all(entry?.path()) {
            // The watchdog of the platform that was killed may be removing the same files.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_are_read_whatever_the_name() {
        let line = "42 (a) b (c)) S 1 40 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 9 9";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(
            (stat.pid, stat.parent, stat.group, stat.started),
            (42, 1, 40, 777)
        );
        assert!(
            Stat::parse("42 (sh) Z 1 40 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777").is_none()
        );
    }
}
