//! The home directory of a platform, locked against a second platform.
//!
//! ```text
//! home/key            the API key, mode 0600
//! home/lock           held while a platform runs
//! home/boot           the boot id of the machine at the time of `run`
//! home/platform.json  the address and settings of the running platform, mode 0600
//! home/ca/            the local certificate authority (TLS mode)
//! home/etc/           the `/etc` of sandboxes with namespaces of their own
//! home/templates/     one directory per template, survives restarts
//! home/run/           one directory per running platform, and in it one per live sandbox
//! ```
//!
//! The sandboxes of a platform that runs as root have users of their own. Without mount namespaces
//! these users cannot reach files below root's home. Then an entry of `home/run` is a link to a
//! directory that every user can enter.

mod api_key;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;

use crate::error::Error;
use crate::files::every_user_passes;
use crate::identity;
use crate::processes;

pub(crate) use self::api_key::ApiKey;

/// The time to wait for the lock of a killed platform: a process that the platform was starting
/// holds a copy of the open lock file until its `exec`.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    // A new name for each start: the watchdog of a killed platform may still be removing its
    // directory.
    run: PathBuf,
    /// The link in the home to `run`, if `run` is elsewhere.
    link: Option<PathBuf>,
    // The lock is also released when the process is killed: the kernel closes the file.
    lock: File,
}

impl Home {
    /// Creates the directories and takes the lock. `placement` chooses where the directories of
    /// sandboxes are.
    pub(crate) fn open(path: &Path, placement: Placement) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(Error::home(path))?;
        let path = path.canonicalize().map_err(Error::home(path))?;
        // Sandboxes and keys are private to the user who runs the platform.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
            .map_err(Error::home(&path))?;
        let lock_path = lock_path(&path);
        let lock = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(Error::home(&lock_path))?;
        if !take(&lock).map_err(Error::home(&lock_path))? {
            return Err(Error::HomeInUse { path });
        }
        // Removes the state file of a killed platform: with the lock held, other programs would
        // read it as the state of this platform.
        let left_behind = state_path(&path);
        match fs::remove_file(&left_behind) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::home(left_behind)(error));
            }
            _ => {}
        }
        let all_runs = path.join("run");
        fs::create_dir_all(&all_runs).map_err(Error::home(&all_runs))?;
        remove_other_boots(&path, &all_runs).map_err(Error::home(&all_runs))?;
        processes::clean_up_all_runs(&all_runs).map_err(Error::home(&all_runs))?;
        let id = identity::short_id('r');
        let entry = all_runs.join(&id);
        let (run, link) = match placement {
            Placement::InHome => (entry, None),
            Placement::Reachable => (reachable_directory()?.join(&id), Some(entry)),
        };
        let home = Self {
            path,
            run,
            link,
            lock,
        };
        fs::create_dir_all(home.templates()).map_err(Error::home(home.templates()))?;
        if let Some(link) = &home.link {
            // Created before the directory, so that the next start finds the directory.
            symlink(&home.run, link).map_err(Error::home(link))?;
        }
        let mode = match placement {
            Placement::InHome => 0o700,
            Placement::Reachable => 0o711,
        };
        make_directory(&home.run, mode).map_err(Error::home(&home.run))?;
        Ok(home)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn key(&self) -> PathBuf {
        key_path(&self.path)
    }

    pub(crate) fn certificates(&self) -> PathBuf {
        certificates_path(&self.path)
    }

    pub(crate) fn templates(&self) -> PathBuf {
        self.path.join("templates")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.run.clone()
    }

    /// Returns the link in the home to [`Home::run`], if that is elsewhere.
    pub(crate) fn link(&self) -> Option<&Path> {
        self.link.as_deref()
    }

    /// Removes the link to [`Home::run`]. Called once that directory is gone.
    pub(crate) fn remove_link(&self) -> io::Result<()> {
        self.link.as_ref().map_or(Ok(()), fs::remove_file)
    }

    pub(crate) fn system_files(&self) -> PathBuf {
        self.path.join("etc")
    }
}

/// The location of the directories of live sandboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    InHome,
    /// In a directory that every user can enter, because sandboxes run as users of their own.
    Reachable,
}

/// Returns root's directory that every user can enter and none can list; creates it if missing.
fn reachable_directory() -> Result<PathBuf, Error> {
    let mut failed = None;
    for parent in ["/var/lib", "/var/tmp"] {
        let directory = Path::new(parent).join("ppio-sandbox-local");
        match make_reachable(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) => failed = Some(Error::home(&directory)(error)),
        }
    }
    Err(failed.unwrap_or(Error::NoHome))
}

fn make_reachable(directory: &Path) -> io::Result<()> {
    match make_directory(directory, 0o711) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // Any user could have created the directory in `/var/tmp`.
    let found = fs::symlink_metadata(directory)?;
    let is_own = found.is_dir() && found.uid() == 0 && found.mode() & 0o022 == 0;
    if is_own && every_user_passes(directory) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "not a directory of root that other users can enter but not write to",
    ))
}

/// Creates a directory with exactly this mode.
fn make_directory(directory: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(mode))
}

impl Drop for Home {
    /// Releases the lock and removes the directory of a failed start. A directory that contains
    /// sandboxes is left to the watchdog.
    fn drop(&mut self) {
        // Closing the file is not enough: a process that is being started has a copy until `exec`.
        let _ = rustix::fs::flock(&self.lock, FlockOperation::Unlock);
        if fs::remove_dir(&self.run).is_ok() {
            let _ = self.remove_link();
        }
    }
}

/// Removes the directories of platforms that ran before this machine was started: their processes
/// are gone, and the pids in their files may be those of other processes.
fn remove_other_boots(home: &Path, all_runs: &Path) -> io::Result<()> {
    let Ok(current) = fs::read("/proc/sys/kernel/random/boot_id") else {
        return Ok(());
    };
    let path = home.join("boot");
    if fs::read(&path).is_ok_and(|last| last == current) {
        return Ok(());
    }
    processes::remove_runs(all_runs)?;
    fs::write(path, current)
}

/// Takes the lock, with several attempts: [`is_locked`] and processes of a killed platform may hold
/// it for an instant.
fn take(lock: &File) -> io::Result<bool> {
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(LOCK_INTERVAL);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether a platform runs in `home`, or is starting there.
pub(crate) fn is_locked(home: &Path) -> bool {
    let Ok(lock) = File::open(lock_path(home)) else {
        return false;
    };
    let taken = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared);
    let _ = rustix::fs::flock(&lock, FlockOperation::Unlock);
    taken == Err(rustix::io::Errno::WOULDBLOCK)
}

fn lock_path(home: &Path) -> PathBuf {
    home.join("lock")
}

pub(crate) fn key_path(home: &Path) -> PathBuf {
    home.join("key")
}

pub(crate) fn certificates_path(home: &Path) -> PathBuf {
    home.join("ca")
}

pub(crate) fn state_path(home: &Path) -> PathBuf {
    home.join("platform.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_has_one_platform_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = Home::open(directory.path(), Placement::InHome).unwrap();
        assert!(matches!(
            Home::open(directory.path(), Placement::InHome),
            Err(Error::HomeInUse { .. })
        ));
        drop(first);
        Home::open(directory.path(), Placement::InHome).unwrap();
    }

    #[test]
    fn a_process_that_is_being_started_does_not_keep_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path(), Placement::InHome).unwrap();
        // A second handle of the open file, as a forked process has.
        let _copy = home.lock.try_clone().unwrap();
        assert!(is_locked(directory.path()));
        drop(home);
        assert!(!is_locked(directory.path()));
    }
}
