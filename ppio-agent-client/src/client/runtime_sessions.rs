//! The sessions of `invoke_agent_runtime`, by the ids that its callers choose.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::error::Error;
use crate::platform::SandboxState;
use crate::session::{CreateSession, SandboxSession};

/// The slot of a session, which is created once, however many calls wait for it.
type SharedSession = Arc<OnceCell<SandboxSession>>;

/// Template id and session id: sessions of two agents may have the same id.
type SessionKey = (String, String);

#[derive(Debug, Default)]
pub(super) struct RuntimeSessions(Mutex<HashMap<SessionKey, SharedSession>>);

impl RuntimeSessions {
    /// Returns the session with this id. If there is no such session, or the session was closed or
    /// its sandbox is gone, `create` creates a new session.
    pub(super) async fn get_or_create(
        &self,
        template_id: &str,
        session_id: &str,
        create: CreateSession,
    ) -> Result<SandboxSession, Error> {
        let key = (template_id.to_owned(), session_id.to_owned());
        let existing = self.lock().get(&key).and_then(|slot| slot.get().cloned());
        if let Some(session) = existing
            && !is_alive(&session).await?
        {
            self.remove(template_id, session_id, &session);
        }
        let slot = {
            let mut sessions = self.lock();
            remove_expired(&mut sessions);
            Arc::clone(sessions.entry(key).or_default())
        };
        let session = slot.get_or_try_init(|| create).await;
        session.cloned()
    }

    /// Adds a session under its own id.
    pub(super) fn insert(&self, template_id: &str, session: &SandboxSession) {
        let key = (template_id.to_owned(), session.session_id().to_owned());
        let mut sessions = self.lock();
        remove_expired(&mut sessions);
        sessions.insert(key, Arc::new(OnceCell::new_with(Some(session.clone()))));
    }

    /// Removes a session that is gone, unless another session has replaced it.
    pub(super) fn remove(&self, template_id: &str, session_id: &str, gone: &SandboxSession) {
        let key = (template_id.to_owned(), session_id.to_owned());
        let mut sessions = self.lock();
        let current = sessions.get(&key).and_then(|slot| slot.get());
        if current.is_some_and(|session| session.sandbox_id() == gone.sandbox_id()) {
            sessions.remove(&key);
        }
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, SharedSession>> {
        // A panic cannot leave a map in an invalid state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes sessions that are over, and slots whose session was never created. Callers choose the
/// ids, so the map would otherwise grow without limit. A session with `auto_pause` stays until it
/// is closed, because its sandbox can be resumed.
fn remove_expired(sessions: &mut HashMap<SessionKey, SharedSession>) {
    sessions.retain(|_, slot| match slot.get() {
        // Another call is creating the session.
        None => Arc::strong_count(slot) > 1,
        Some(session) if session.is_over() => {
            // If another client has refreshed the sandbox, it must not be killed.
            session.clone().detach();
            false
        }
        Some(_) => true,
    });
}

/// Returns whether the session's sandbox is alive. If the sandbox should have expired, looks up the
/// sandbox, and resumes or refreshes it.
async fn is_alive(session: &SandboxSession) -> Result<bool, Error> {
    if session.is_closed() {
        return Ok(false);
    }
    if !session.has_expired() {
        return Ok(true);
    }
    let refreshed = match session.info().await {
        Ok(info) if info.state == SandboxState::Paused => session.resume().await,
        Ok(_) => session.refresh().await,
        Err(error) => Err(error),
    };
    match refreshed {
        Ok(()) => Ok(true),
        Err(Error::SessionNotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
