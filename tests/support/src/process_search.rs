//! Finds processes on this machine, including those of sandboxes.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Returns the ids of the sandbox processes of the platform in `home`: the environment of each
/// contains the sandbox's directory.
pub fn processes_marked(home: &Path) -> Vec<i32> {
    processes_naming(&sandbox_folders(home))
}

/// Returns the folders that contain the sandboxes of the platform in `home`: `home` itself, and the
/// folders in which a platform that runs as root creates sandboxes.
pub fn sandbox_folders(home: &Path) -> Vec<PathBuf> {
    let runs = fs::read_dir(home.join("run"));
    let elsewhere = runs.into_iter().flatten().flatten();
    let elsewhere = elsewhere.filter_map(|run| fs::read_link(run.path()).ok());
    std::iter::once(home.to_owned()).chain(elsewhere).collect()
}

/// Returns the ids of the processes, except this one, whose environment contains one of these
/// folders.
pub fn processes_naming(folders: &[PathBuf]) -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let is_marked = |environ: &[u8]| {
        folders.iter().any(|folder| {
            let mark = folder.as_os_str().as_bytes();
            environ.windows(mark.len()).any(|part| part == mark)
        })
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            fs::read(entry.path().join("environ")).is_ok_and(|environ| is_marked(&environ))
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .collect()
}

/// Returns the ids of the processes that have this text as one argument on their command line.
pub fn processes_running(argument: &str) -> Vec<i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            fs::read(entry.path().join("cmdline")).is_ok_and(|line| {
                line.split(|byte| *byte == 0)
                    .any(|part| part == argument.as_bytes())
            })
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}
