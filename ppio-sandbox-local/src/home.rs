//! Where the platform keeps its files, and the guarantee that it is alone there.
//!
//! ```text
//! home/key            the API key, mode 0600
//! home/lock           held while a platform runs
//! home/boot           which start of this machine `run` is of
//! home/platform.json  where the running platform is, mode 0600
//! home/ca/            the local certificate authority (TLS mode)
//! home/stand-ins/     small programs that sandboxes expect on their PATH
//! home/templates/     one directory per template, survives restarts
//! home/run/           one directory per running platform, and in it one per live sandbox
//! ```

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;

use crate::Error;
use crate::identity;
use crate::isolation;

const LOCK_ATTEMPTS: u32 = 5;
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    // A name of its own for each start: the watchdog of a platform that was killed may still be
    // cleaning up the directory of the last one.
    run: PathBuf,
    // The lock lives as long as the file is open, so it goes with the process whatever kills it.
    _lock: File,
}

impl Home {
    /// Creates the directories and takes the lock.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
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
        // One that was killed left it; whoever sees it beside our lock would take it for ours.
        let left_behind = state_path(&path);
        match fs::remove_file(&left_behind) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::home(left_behind)(error));
            }
            _ => {}
        }
        let all_runs = path.join("run");
        fs::create_dir_all(&all_runs).map_err(Error::home(&all_runs))?;
        forget_other_boots(&path, &all_runs).map_err(Error::home(&all_runs))?;
        isolation::sweep_all(&all_runs).map_err(Error::home(&all_runs))?;
        let run = all_runs.join(identity::short_id('r'));
        let home = Self {
            path,
            run,
            _lock: lock,
        };
        for directory in [home.templates(), home.run(), home.stand_ins()] {
            fs::create_dir_all(&directory).map_err(Error::home(directory))?;
        }
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

    pub(crate) fn stand_ins(&self) -> PathBuf {
        self.path.join("stand-ins")
    }
}

impl Drop for Home {
    /// Removes the directory of a start that failed. One with sandboxes in it is the watchdog's.
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.run);
    }
}

/// Removes what was left by platforms before this machine was started. None of their processes
/// lives, and the process numbers in their files are others' now.
fn forget_other_boots(home: &Path, all_runs: &Path) -> io::Result<()> {
    let Ok(current) = fs::read("/proc/sys/kernel/random/boot_id") else {
        return Ok(());
    };
    let path = home.join("boot");
    if fs::read(&path).is_ok_and(|last| last == current) {
        return Ok(());
    }
    fs::remove_dir_all(all_runs)?;
    fs::create_dir(all_runs)?;
    fs::write(path, current)
}

/// Takes the lock, trying again for a moment: whoever asks [`is_locked`] holds it for an instant.
fn take(lock: &File) -> io::Result<bool> {
    for attempt in 0..LOCK_ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(LOCK_INTERVAL);
        }
        match rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// Whether a platform runs in `home`, whatever its files say.
pub(crate) fn is_locked(home: &Path) -> bool {
    let Ok(lock) = File::open(lock_path(home)) else {
        return false;
    };
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared)
        == Err(rustix::io::Errno::WOULDBLOCK)
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
        let first = Home::open(directory.path()).unwrap();
        assert!(matches!(
            Home::open(directory.path()),
            Err(Error::HomeInUse { .. })
        ));
        drop(first);
        Home::open(directory.path()).unwrap();
    }
}
