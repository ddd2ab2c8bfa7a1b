//! The state of a process, as `/proc/<pid>/stat` shows it (`proc_pid_stat(5)`).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Fields of `/proc/<pid>/stat`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessStat {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// The start time, in clock ticks since the machine was started. The start time and the pid
    /// together identify the process uniquely.
    pub(super) started: u64,
    /// User and system time, in clock ticks.
    pub(crate) cpu_ticks: u64,
}

impl ProcessStat {
    /// Reads the state of a process. Returns `None` if the process has ended.
    pub(crate) fn read(pid: i32) -> Option<Self> {
        Self::read_file(Path::new(&format!("/proc/{pid}/stat")))
    }

    fn read_file(path: &Path) -> Option<Self> {
        // The name of a process may contain any byte.
        let line = fs::read(path).ok()?;
        Self::parse(&String::from_utf8_lossy(&line))
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        // The name in parentheses may contain spaces and parentheses; the fields after it do not.
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

/// Returns the processes that `/proc` lists, by pid, without those that have ended.
pub(super) fn all_processes() -> io::Result<BTreeMap<i32, ProcessStat>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let is_process = entry.file_name().as_bytes().iter().all(u8::is_ascii_digit);
        if is_process && let Some(stat) = ProcessStat::read_file(&entry.path().join("stat")) {
            all.insert(stat.pid, stat);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_may_contain_spaces_and_parentheses() {
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

    #[test]
    fn a_name_may_contain_any_byte() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join(OsStr::from_bytes(b"name\xff"));
        fs::copy("/bin/sleep", &program).unwrap();
        let mut process = Command::new(&program).arg("60").spawn().unwrap();
        let pid = i32::try_from(process.id()).unwrap();
        let read = ProcessStat::read(pid);
        let is_listed = all_processes().unwrap().contains_key(&pid);
        process.kill().unwrap();
        process.wait().unwrap();
        assert_eq!(read.map(|stat| stat.pid), Some(pid));
        assert!(is_listed);
        assert!(ProcessStat::read(pid).is_none());
    }
}
