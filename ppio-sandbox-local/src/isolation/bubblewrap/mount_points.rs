//! The paths in a sandbox's root at which `bwrap` mounts.

use std::fs;
use std::io;
use std::path::Path;

use super::BubblewrapIsolation;
use crate::files::Owner;
use crate::isolation::root::make_mount_point;

/// The parts of the host's system that a sandbox sees, read-only. Of `/etc` a sandbox sees copies.
/// Exposed paths are added, and everything else is hidden.
pub(super) const SYSTEM: &[&str] = &[
    "bin", "sbin", "usr", "lib", "lib32", "lib64", "libx32", "nix",
];
/// Other paths that `bwrap` mounts at.
const MOUNTED: &[&str] = &["dev", "etc", "proc"];
/// The directory that a sandbox sees as `/dev/shm` if `bwrap` cannot limit the size of a file
/// system in memory.
pub(super) const SHARED_DIRECTORY: &str = ".ppio/shm";

impl BubblewrapIsolation {
    /// Creates the mount points, and replaces links that a template has in their place.
    pub(super) fn prepare(&self, root: &Path, owner: Owner) -> io::Result<()> {
        for name in SYSTEM {
            let system = Path::new("/").join(name);
            match fs::symlink_metadata(&system) {
                Ok(found) if found.is_symlink() => {
                    replace_by_link(&root.join(name), &fs::read_link(&system)?, owner)?;
                }
                Ok(_) => make_mount_point(root, &system, true, owner)?,
                // The machine has no such directory. A directory of this name from the template
                // would be searched for the loader.
                Err(_) => remove(&root.join(name))?,
            }
        }
        if !self.sizes {
            make_mount_point(root, Path::new(SHARED_DIRECTORY), true, owner)?;
        }
        for name in MOUNTED {
            make_mount_point(root, Path::new(name), true, owner)?;
        }
        for path in &self.exposed {
            let is_mounted = |name: &&str| path.starts_with(Path::new("/").join(name));
            if !SYSTEM.iter().chain(MOUNTED).any(is_mounted) {
                make_mount_point(root, path, path.is_dir(), owner)?;
            }
        }
        Ok(())
    }
}

/// Replaces what is at `path` by a link to `target`.
fn replace_by_link(path: &Path, target: &Path, owner: Owner) -> io::Result<()> {
    if fs::read_link(path).is_ok_and(|found| found == target) {
        return Ok(());
    }
    remove(path)?;
    std::os::unix::fs::symlink(target, path)?;
    owner.give_path(path)
}

/// Removes the file or directory at `path`, if there is one.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
