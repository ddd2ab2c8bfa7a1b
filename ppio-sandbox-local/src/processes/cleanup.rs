//! Ends the processes of platforms that are gone, and removes the directories of their sandboxes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::process_discovery::{search, signal};
use crate::files::{entries, remove_tree};

/// Ends the processes of the sandboxes in `run_directory`, that of one platform, and removes their
/// directories.
pub(crate) fn clean_up_run(run_directory: &Path) -> io::Result<()> {
    end(run_directory, &entries(run_directory)?);
    remove_entries(run_directory)
}

/// Ends the processes of platforms that are gone, and removes their directories below `all_runs`
/// or at the targets of links there. Their watchdogs may have been killed too.
pub(crate) fn clean_up_all_runs(all_runs: &Path) -> io::Result<()> {
    let mut sandboxes = Vec::new();
    for entry in entries(all_runs)? {
        let runs = match fs::read_link(&entry) {
            Ok(run) => moved(&run),
            Err(_) => vec![entry],
        };
        for run in runs {
            // A watchdog may be moving or removing the directory.
            let inside = entries(&run).unwrap_or_default();
            if !run.starts_with(all_runs) {
                end(unmoved(&run), &inside);
            }
            sandboxes.extend(inside);
        }
    }
    end(all_runs, &sandboxes);
    remove_runs(all_runs)
}

/// The directory of a platform's sandboxes, and the names to which watchdogs have moved it.
fn moved(run: &Path) -> Vec<PathBuf> {
    let beside = run.parent().and_then(|parent| entries(parent).ok());
    let mut runs = beside.unwrap_or_default();
    runs.retain(|path| unmoved(path) == run);
    runs
}

/// The name of a directory before a watchdog renamed it.
fn unmoved(run: &Path) -> &Path {
    match run.to_str().and_then(|run| run.split_once(".dead.")) {
        Some((run, _)) => Path::new(run),
        None => run,
    }
}

fn end(directory: &Path, sandboxes: &[PathBuf]) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while let Ok(processes) = search(directory, sandboxes)
        && !processes.is_empty()
        && Instant::now() < deadline
    {
        signal(&processes, Signal::KILL);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Removes what is below `all_runs`, and the targets of links there.
pub(crate) fn remove_runs(all_runs: &Path) -> io::Result<()> {
    for entry in entries(all_runs)? {
        if let Ok(run) = fs::read_link(&entry) {
            for run in moved(&run) {
                remove(&run)?;
            }
        }
    }
    remove_entries(all_runs)
}

fn remove_entries(directory: &Path) -> io::Result<()> {
    entries(directory)?
        .iter()
        .try_for_each(|entry| remove(entry))
}

/// Removes a directory or a link.
fn remove(entry: &Path) -> io::Result<()> {
    match remove_tree(entry) {
        // The watchdog of a killed platform may be removing the same files.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
