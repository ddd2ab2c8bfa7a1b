//! Removes directories of sandboxes.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The time after which no further attempt to remove a directory is made: processes that were just
/// killed or started may still create files, and the kernel may need some time to remove their
/// mounts.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between two attempts.
const REMOVE_INTERVAL: Duration = Duration::from_millis(10);

/// Runs [`remove_directory_blocking`] on a blocking thread.
pub(crate) async fn remove_directory(directory: &Path) -> io::Result<()> {
    let directory = directory.to_owned();
    let removing = tokio::task::spawn_blocking(move || remove_directory_blocking(&directory));
    removing.await.map_err(io::Error::other)?
}

/// Removes a directory, or a link, with several attempts: processes that were just killed may have
/// been creating files there, their mounts may keep directories busy, and a watchdog may be
/// removing the same files. A directory that no longer exists counts as removed.
pub(crate) fn remove_directory_blocking(directory: &Path) -> io::Result<()> {
    let deadline = Instant::now() + REMOVE_TIMEOUT;
    loop {
        let removed = remove_tree(directory);
        let is_gone = || {
            let found = fs::symlink_metadata(directory);
            found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        if removed.is_ok() || is_gone() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return removed;
        }
        std::thread::sleep(REMOVE_INTERVAL);
    }
}

/// Removes a directory, even if a sandbox has removed the permission to do so.
fn remove_tree(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(directory)?;
            fs::remove_dir_all(directory)
        }
        removed => removed,
    }
}

fn make_writable(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in entries(directory)? {
        if fs::symlink_metadata(&entry)?.is_dir() {
            make_writable(&entry)?;
        }
    }
    Ok(())
}

pub(crate) fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect()
}
