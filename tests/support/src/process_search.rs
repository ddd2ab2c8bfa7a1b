//! Finds processes on this machine, including those of sandboxes.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Processes of the sandboxes of the platform in `home`: the environment of each names the
/// sandbox's directory.
pub fn processes_marked(home: &Path) -> Vec<i32> {
    processes_naming(&sandbox_folders(home))
}

/// The folders of the sandboxes of a platform's home: in it, or where a platform that runs as root
/// put them.
pub fn sandbox_folders(home: &Path) -> Vec<PathBuf> {
    let runs = fs::read_dir(home.join("run"));
    let elsewhere = runs.into_iter().flatten().flatten();
    let elsewhere = elsewhere.filter_map(|run| fs::read_link(run.path()).ok());
    std::iter::once(home.to_owned()).chain(elsewhere).collect()
}

/// Processes whose environment names one of these folders, except this one.
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

/// Processes with this text as one argument on their command line.
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
