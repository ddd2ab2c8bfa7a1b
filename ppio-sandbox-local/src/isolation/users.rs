//! A user of its own for each sandbox of a platform that runs as root.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::files::Owner;

/// User ids that systemd's documentation leaves unused: above its container ranges, below 2^31.
const UNUSED: Range<u32> = 1_879_048_192..2_147_483_647;
/// Ids for user namespaces with the usual 65,536 ids, as in containers without root.
const IN_NAMESPACE: Range<u32> = 62_000..65_000;

/// The user and group that a sandbox with namespaces sees if the platform runs as an ordinary user.
pub(crate) const INNER_USER: u32 = 1000;

/// The pool of users for sandboxes. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct UserPool {
    /// `None` if the platform is not root and sandboxes run as its user.
    range: Option<Range<u32>>,
    taken: Arc<Mutex<BTreeSet<u32>>>,
}

/// The user of one sandbox or build, returned to the pool when the last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct SandboxUser(Arc<UserLease>);

#[derive(Debug)]
struct UserLease {
    id: Option<u32>,
    taken: Arc<Mutex<BTreeSet<u32>>>,
}

impl UserPool {
    /// Chooses a range of ids that this machine does not use.
    ///
    /// # Errors
    ///
    /// If the platform runs as root in a user namespace that maps neither [`UNUSED`] nor
    /// [`IN_NAMESPACE`].
    pub(crate) fn new() -> Result<Self, String> {
        let range = if rustix::process::geteuid().is_root() {
            let maps = ["/proc/self/uid_map", "/proc/self/gid_map"]
                .map(|map| fs::read_to_string(map).unwrap_or_default());
            let mapped = |range: &Range<u32>| maps.iter().all(|map| is_mapped(map, range));
            let found = [UNUSED, IN_NAMESPACE].into_iter().find(mapped);
            Some(found.ok_or_else(|| {
                format!(
                    "sandboxes of a platform that runs as root need user ids {} to {}, which this \
                     user namespace does not map: run the platform as an ordinary user",
                    IN_NAMESPACE.start, IN_NAMESPACE.end
                )
            })?)
        } else {
            None
        };
        Ok(Self {
            range,
            taken: Arc::default(),
        })
    }

    /// Takes a user that no other sandbox of this pool has; the platform's user if the platform is
    /// not root.
    pub(crate) fn take(&self) -> io::Result<SandboxUser> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let id = match &self.range {
            None => None,
            Some(range) => {
                let free = |id: &u32| !taken.contains(id);
                let id = candidates(range).find(free).ok_or_else(|| {
                    io::Error::other(format!("no user id of {range:?} is free for a sandbox"))
                })?;
                taken.insert(id);
                Some(id)
            }
        };
        Ok(SandboxUser(Arc::new(UserLease {
            id,
            taken: Arc::clone(&self.taken),
        })))
    }

    /// Whether each sandbox has a user of its own.
    pub(crate) fn are_own(&self) -> bool {
        self.range.is_some()
    }
}

/// Returns the ids of `range`, starting at a random one, because several platforms may use the same
/// range. In [`IN_NAMESPACE`], the ids of running processes are left out.
fn candidates(range: &Range<u32>) -> impl Iterator<Item = u32> {
    let random = Uuid::new_v4().as_fields().0 % (range.end - range.start);
    let start = range.start + random;
    let running = if *range == IN_NAMESPACE {
        owners_of_processes()
    } else {
        BTreeSet::new()
    };
    (start..range.end)
        .chain(range.start..start)
        .filter(move |id| !running.contains(id))
}

fn owners_of_processes() -> BTreeSet<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| Some(process.metadata().ok()?.uid()))
        .collect()
}

/// Whether one line of a `uid_map` holds all ids of `range`.
fn is_mapped(map: &str, range: &Range<u32>) -> bool {
    map.lines().any(|line| {
        let fields: Vec<u64> = line
            .split_ascii_whitespace()
            .filter_map(|field| field.parse().ok())
            .collect();
        let [first, _, count] = fields[..] else {
            return false;
        };
        first <= u64::from(range.start) && u64::from(range.end) <= first + count
    })
}

impl SandboxUser {
    /// Returns the id of the user and of its group. `None` for the platform's user.
    pub(crate) fn id(&self) -> Option<u32> {
        self.0.id
    }

    /// Returns the owner of the sandbox's files.
    pub(crate) fn owner(&self) -> Owner {
        self.0.id.map_or(Owner::PLATFORM, Owner::new)
    }
}

impl Drop for UserLease {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.taken
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_looked_up_in_the_map() {
        let whole = "         0          0 4294967295\n";
        assert!(is_mapped(whole, &UNUSED) && is_mapped(whole, &IN_NAMESPACE));
        let container = "         0       1000          1\n         1     100000      65536\n";
        assert!(!is_mapped(container, &UNUSED) && is_mapped(container, &IN_NAMESPACE));
        let single = "         0       1000          1\n";
        assert!(!is_mapped(single, &IN_NAMESPACE));
    }

    #[test]
    fn no_two_sandboxes_have_one_user() {
        for range in [10..13, IN_NAMESPACE] {
            let users = UserPool {
                range: Some(range),
                taken: Arc::default(),
            };
            let taken: Vec<_> = (0..3).map(|_| users.take().unwrap()).collect();
            let ids: BTreeSet<_> = taken.iter().filter_map(SandboxUser::id).collect();
            assert_eq!(ids.len(), 3);
            if ids.first() == Some(&10) {
                assert!(users.take().is_err());
            }
            drop(taken);
            users.take().unwrap();
        }
    }
}
