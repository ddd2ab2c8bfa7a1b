//! Ends the processes of platforms that are gone, and removes the directories of their sandboxes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::process_discovery::{search, signal};
use crate::files::{entries, remove_directory_blocking};

/// Ends the processes of the sandboxes in `run_directory`, the directory of one platform, and
/// removes the directory.
pub(crate) fn clean_up_run(run_directory: &Path) -> io::Result<()> {
    end(run_directory, &entries(run_directory)?);
    remove_directory_blocking(run_directory)
}

/// Ends the processes of platforms that are gone, and removes their directories below `all_runs` or
/// at the targets of links there. The watchdogs of those platforms may have been killed as well.
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
                end(original_path(&run), &inside);
            }
            sandboxes.extend(inside);
        }
    }
    end(all_runs, &sandboxes);
    remove_runs(all_runs)
}

/// Returns the directory of a platform's sandboxes, and the names to which watchdogs have moved it.
fn moved(run: &Path) -> Vec<PathBuf> {
    let beside = run.parent().and_then(|parent| entries(parent).ok());
    let mut runs = beside.unwrap_or_default();
    runs.retain(|path| original_path(path) == run);
    runs
}

/// Returns the name of a directory before a watchdog renamed it.
fn original_path(run: &Path) -> &Path {
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

/// Removes the directories and links in `all_runs`, and the targets of these links, also those that
/// a watchdog has renamed.
pub(crate) fn remove_runs(all_runs: &Path) -> io::Result<()> {
    for entry in entries(all_runs)? {
        if let Ok(run) = fs::read_link(&entry) {
            for run in moved(&run) {
                remove_directory_blocking(&run)?;
            }
        }
        remove_directory_blocking(&entry)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    type Removal = fn(&Path, &Path) -> io::Result<()>;

    /// Writes 20,000 times to a hundred files in `directory`, or until a write fails.
    fn create_files(directory: &Path) {
        for number in 0..20_000 {
            let file = directory.join((number % 100).to_string());
            if fs::write(file, "").is_err() {
                return;
            }
        }
    }

    #[test]
    fn a_run_is_removed_while_its_processes_are_ending() {
        let removals: [(&str, Removal); 3] = [
            ("at shutdown", |_, run| clean_up_run(run)),
            ("at the next start", |all_runs, _| {
                clean_up_all_runs(all_runs)
            }),
            ("after a boot", |all_runs, _| remove_runs(all_runs)),
        ];
        for (when, remove) in removals {
            let place = tempfile::tempdir().unwrap();
            let (all_runs, run) = (place.path().join("run"), place.path().join("elsewhere"));
            let files = run.join("sandbox/root/tmp");
            fs::create_dir_all(&all_runs).unwrap();
            fs::create_dir_all(&files).unwrap();
            symlink(&run, all_runs.join("link")).unwrap();
            let ending = std::thread::spawn(move || create_files(&files));
            let removed = remove(&all_runs, &run);
            ending.join().unwrap();
            assert!(removed.is_ok() && !run.exists(), "{when}: {removed:?}");
        }
    }
}
