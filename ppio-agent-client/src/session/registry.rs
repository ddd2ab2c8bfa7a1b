//! The open sessions of a client, with at most one session for each sandbox.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Maps sandbox ids to sessions, without keeping the sessions open.
///
/// The registry is generic because the session's type holds the registry itself.
#[derive(Debug)]
pub(super) struct SessionRegistry<S>(Mutex<HashMap<String, Weak<S>>>);

impl<S> Default for SessionRegistry<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S> SessionRegistry<S> {
    pub(super) fn find(&self, sandbox_id: &str) -> Option<Arc<S>> {
        self.lock().get(sandbox_id)?.upgrade()
    }

    pub(super) fn insert(&self, sandbox_id: &str, session: &Arc<S>) {
        let session = Arc::downgrade(session);
        self.lock().insert(sandbox_id.to_owned(), session);
    }

    pub(super) fn remove(&self, sandbox_id: &str) -> Option<Arc<S>> {
        self.lock().remove(sandbox_id)?.upgrade()
    }

    /// Removes the entry of a dropped session, unless a newer session has replaced it.
    pub(super) fn remove_dropped(&self, sandbox_id: &str) {
        let mut sessions = self.lock();
        let entry = sessions.get(sandbox_id);
        if entry.is_some_and(|session| session.strong_count() == 0) {
            sessions.remove(sandbox_id);
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<S>> {
        self.lock().values().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<S>>> {
        // A panic cannot leave a map of weak pointers in an invalid state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
