//! The state of a process, as `/proc/<pid>/stat` shows it (`proc_pid_stat(5)`).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;

/// Fields of `/proc/<pid>/stat`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessStat {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// The start time, in clock ticks since the machine was started. Together with the pid, it
    /// identifies the process uniquely.
    pub(super) started: u64,
    /// User and system time, in clock ticks.
    pub(crate) cpu_ticks: u64,
}

impl ProcessStat {
    /// Reads the state of a process. `None` when it has ended.
    pub(crate) fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        // The name in parentheses may contain any character; the other fields are numbers.
        let (head, rest) = line.rsplit_once(')')?;
        let pid = head.split(' ').next()?.parse().ok()?;
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        // A zombie has ended; its parent has not waited for it yet.
        if *fields.first()? == "Z" {
            return None;
        }
        let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            started: ticks(19)?,
            cpu_ticks: ticks(11)? + ticks(12)?,
        })
    }
}

/// Returns every process of this machine, by pid.
pub(super) fn all_processes() -> io::Result<BTreeMap<i32, ProcessStat>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let is_process = entry.file_name().as_bytes().iter().all(u8::is_ascii_digit);
        if is_process
            && let Ok(line) = fs::read_to_string(entry.path().join("stat"))
            && let Some(stat) = ProcessStat::parse(&line)
        {
            all.insert(stat.pid, stat);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_are_read_whatever_the_name() {
        let line = "42 (a) b (c)) S 1 40 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 9 9";
        let stat = ProcessStat::parse(line).unwrap();
        assert_eq!(
            (
                stat.pid,
                stat.parent,
                stat.group,
                stat.started,
                stat.cpu_ticks
            ),
            (42, 1, 40, 777, 11)
        );
        assert!(
            ProcessStat::parse("42 (sh) Z 1 40 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777")
                .is_none()
        );
    }
}
