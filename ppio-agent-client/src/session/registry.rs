//! The open sessions of a client, so that the same sandbox is the same session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::sandbox_session::SandboxSession;
use super::session_core::SessionCore;

/// Knows the sessions by their sandbox, without keeping them open.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<HashMap<String, Weak<SessionCore>>>);

impl Registry {
    pub(crate) fn find(&self, sandbox_id: &str) -> Option<SandboxSession> {
        let core = self.lock().get(sandbox_id)?.upgrade()?;
        Some(SandboxSession::of(core))
    }

    pub(super) fn add(&self, core: &Arc<SessionCore>) {
        self.lock()
            .insert(core.sandbox_id().to_owned(), Arc::downgrade(core));
    }

    /// A session was dropped. Its place may be another's by now.
    pub(super) fn dropped(&self, sandbox_id: &str) {
        let mut sessions = self.lock();
        if sessions
            .get(sandbox_id)
            .is_some_and(|core| core.strong_count() == 0)
        {
            sessions.remove(sandbox_id);
        }
    }

    /// The sandbox is gone: its handles, if any, are told.
    pub(crate) fn forget(&self, sandbox_id: &str) {
        let core = self.lock().remove(sandbox_id);
        if let Some(core) = core.and_then(|core| core.upgrade()) {
            core.mark_closed();
        }
    }

    /// The sessions that end with their handles.
    pub(crate) fn owned(&self) -> Vec<SandboxSession> {
        let cores: Vec<_> = self.lock().values().filter_map(Weak::upgrade).collect();
        let owned = cores.into_iter().filter(|core| core.is_owned());
        owned.map(SandboxSession::of).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<SessionCore>>> {
        // A map of weak pointers has no broken state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
