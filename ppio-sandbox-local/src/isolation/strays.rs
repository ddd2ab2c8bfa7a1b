//! Finding the processes of a sandbox without a cgroup, and of sandboxes whose platform is gone.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::enclosure::MARK;

/// The processes marked with `directory` or something below it.
///
/// The mark is in the environment a process started with, so children that leave their process
/// group or session still carry it.
pub(crate) fn of(directory: &Path) -> io::Result<Vec<i32>> {
    let mut mark = format!("{MARK}=").into_bytes();
    mark.extend_from_slice(directory.as_os_str().as_bytes());
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        // Gone meanwhile, or another user's: neither is ours.
        let Ok(environment) = fs::read(entry.path().join("environ")) else {
            continue;
        };
        let marked = environment.split(|byte| *byte == 0).any(|variable| {
            variable
                .strip_prefix(mark.as_slice())
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        });
        if marked {
            found.insert(pid);
        }
    }
    Ok(found.into_iter().collect())
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
