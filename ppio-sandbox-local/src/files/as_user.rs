//! File system calls with the rights of a sandbox's user.
//!
//! A platform that runs as root can open every file. A call for a client must not open more than a
//! command of the sandbox could open, so the thread that makes the call takes the user's identity
//! during the call. Files that the call creates then also belong to the user.

use std::io;
use std::process::abort;
use std::sync::{Mutex, PoisonError};

use rustix::process::{
    DumpableBehavior, Gid, Uid, dumpable_behavior, getgroups, set_dumpable_behavior,
};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// Runs file system calls as the user and group `id` on this thread. Blocks for as long as the
/// calls block.
///
/// The supplementary groups are cleared. Of the ids, only the effective ones change: a sandbox
/// cannot send a signal to a thread whose real and saved user are root.
pub(super) fn as_user<T, E: From<io::Error>>(
    id: u32,
    calls: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let _identity = Identity::take(id).map_err(io::Error::from)?;
    calls()
}

/// The identity of the platform, restored when dropped.
struct Identity {
    groups: Vec<Gid>,
    _dumpable: DumpableGuard,
}

/// The number of threads that have another identity, and whether the process was dumpable before
/// the first of them took its identity.
static TAKEN: Mutex<(usize, DumpableBehavior)> = Mutex::new((0, DumpableBehavior::NotDumpable));

/// Makes the process dumpable again when dropped: the kernel makes it not dumpable when a thread
/// changes its identity. Otherwise a root without `CAP_SYS_PTRACE` could not open the platform's
/// descriptors, through which the programs that start a command enter the namespaces of a sandbox.
///
/// Only the last guard makes the process dumpable: while a thread has the identity of a sandbox's
/// user, that user would own the thread's files in `/proc`.
struct DumpableGuard;

impl DumpableGuard {
    /// Records whether the process is dumpable. Must be called before the identity changes.
    fn take() -> rustix::io::Result<Self> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.0 == 0 {
            taken.1 = dumpable_behavior()?;
        }
        taken.0 += 1;
        Ok(Self)
    }
}

impl Drop for DumpableGuard {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        taken.0 -= 1;
        // A process cannot set `DumpableReadableOnlyByRoot`.
        if taken.0 == 0
            && taken.1 == DumpableBehavior::Dumpable
            && let Err(error) = set_dumpable_behavior(DumpableBehavior::Dumpable)
        {
            tracing::warn!(%error, "failed to make the process dumpable again");
        }
    }
}

impl Identity {
    fn take(id: u32) -> rustix::io::Result<Self> {
        // If one of the calls below fails, dropping this value restores the identity.
        let identity = Self {
            groups: getgroups()?,
            _dumpable: DumpableGuard::take()?,
        };
        set_thread_groups(&[])?;
        set_thread_res_gid(None::<Gid>, Gid::from_raw(id), None::<Gid>)?;
        set_thread_res_uid(None::<Uid>, Uid::from_raw(id), None::<Uid>)?;
        Ok(identity)
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        // Restores the user first, because only root can set groups.
        let restored = set_thread_res_uid(None::<Uid>, Uid::ROOT, None::<Uid>)
            .and_then(|()| set_thread_res_gid(None::<Gid>, Gid::ROOT, None::<Gid>))
            .and_then(|()| set_thread_groups(&self.groups));
        if restored.is_err() {
            // Otherwise the thread would continue as the user of a sandbox.
            abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use ppio_test_support::Requirement;
    use rustix::process::{getegid, geteuid};

    use super::*;

    const USER: u32 = 62_321;

    #[test]
    fn calls_have_the_rights_of_the_user_and_no_others() {
        if !geteuid().is_root() {
            // Only root can take another identity.
            assert!(as_user(USER, || Ok::<_, io::Error>(())).is_err());
        }
        if !Requirement::root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(at("secret"), "secret").unwrap();
        fs::set_permissions(at("secret"), fs::Permissions::from_mode(0o600)).unwrap();

        let refused = as_user(USER, || fs::read(at("secret")));
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        as_user(USER, || fs::write(at("made"), "")).unwrap();
        let made = fs::metadata(at("made")).unwrap();
        assert_eq!((made.uid(), made.gid()), (USER, USER));

        let panicked =
            std::panic::catch_unwind(|| as_user::<(), io::Error>(USER, || panic!("in a call")));
        assert!(panicked.is_err());
        assert!(geteuid().is_root() && getegid().is_root());
        // Other tests of this process may have another identity for a moment.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while dumpable_behavior().unwrap() != DumpableBehavior::Dumpable {
            assert!(
                std::time::Instant::now() < deadline,
                "the process is not dumpable again"
            );
        }
        assert_eq!(fs::read(at("secret")).unwrap(), b"secret");
    }
}
