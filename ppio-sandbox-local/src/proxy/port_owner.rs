//! Checks whether a listener belongs to a sandbox.
//!
//! Sandboxes share this machine's network, so a listener may be that of another sandbox, or a
//! database of the developer. A socket belongs to a sandbox with a user of its own if that user
//! opened it: root in a container may not be allowed to read the processes of other users. A socket
//! belongs to any other sandbox if one of the sandbox's processes has it open.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC, fstatfs, open, openat};

use crate::processes::{ListenerTable, open_sockets};
use crate::sandbox::LocalSandbox;

/// The processes of a sandbox that are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcessSearch {
    /// Those that are known without a search through every process of this machine.
    Quick,
    All,
}

/// Whether `sockets` is not empty and `sandbox` owns every socket in it, according to `table`.
/// Blocks on file system calls.
pub(super) fn owns(
    sandbox: &LocalSandbox,
    table: &ListenerTable,
    sockets: &BTreeSet<u64>,
    search: ProcessSearch,
) -> bool {
    if sockets.is_empty() {
        return false;
    }
    if let Some(user) = sandbox.sandbox_processes().owner().id() {
        return table.are_of_user(sockets, user);
    }
    let mut missing = sockets.clone();
    if let Some(init) = sandbox.sandbox_processes().first_process()
        && find_in_namespace(init, &mut missing).is_ok()
    {
        // The namespace holds every process of the sandbox.
        return missing.is_empty();
    }
    for process in sandbox.processes.list() {
        find_in_process(&in_proc(process.pid), &mut missing);
    }
    if search == ProcessSearch::All && !missing.is_empty() {
        for pid in sandbox.sandbox_processes().processes().unwrap_or_default() {
            find_in_process(&in_proc(pid), &mut missing);
        }
    }
    missing.is_empty()
}

fn in_proc(pid: impl std::fmt::Display) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// Searches the processes of the namespace whose first process is `init`: the `/proc` that is
/// mounted in the namespace lists only these processes.
fn find_in_namespace(init: i32, missing: &mut BTreeSet<u64>) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(in_proc(init).join("root"), flags, Mode::empty())?;
    let processes: OwnedFd = openat(&root, "proc", flags | OFlags::NOFOLLOW, Mode::empty())?;
    // A sandbox cannot mount at `/proc`, but it could put a directory of its own at that path.
    if fstatfs(&processes)?.f_type != PROC_SUPER_MAGIC {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let place = PathBuf::from(format!("/proc/self/fd/{}", processes.as_raw_fd()));
    for entry in fs::read_dir(place)? {
        let entry = entry?;
        if entry.file_name().as_bytes().iter().all(u8::is_ascii_digit) {
            find_in_process(&entry.path(), missing);
        }
    }
    Ok(())
}

/// Removes the sockets that a process has open from `missing`.
fn find_in_process(process: &Path, missing: &mut BTreeSet<u64>) {
    if missing.is_empty() {
        return;
    }
    for socket in open_sockets(process) {
        missing.remove(&socket);
    }
}
