//! Removes directories of sandboxes.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Removes a directory whose processes have ended, also where a sandbox has removed the permission
/// to do so. Blocks.
pub(crate) fn remove_tree(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(directory)?;
            fs::remove_dir_all(directory)
        }
        removed => removed,
    }
}

/// How long processes that are just ending may go on to create files.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Removes a directory, with several attempts: processes that were just killed may have been
/// creating files there.
pub(crate) async fn remove_directory(directory: &Path) -> io::Result<()> {
    let deadline = Instant::now() + REMOVE_TIMEOUT;
    loop {
        let removed = directory.to_owned();
        let removing = tokio::task::spawn_blocking(move || remove_tree(&removed));
        match removing.await.map_err(io::Error::other)? {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
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
