//! The sandboxes behind the session ids that callers of `invoke_agent_runtime` choose.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::error::Error;
use crate::platform::SandboxState;
use crate::session::{CreateSession, SandboxSession};

/// Made once, however many ask for it at the same time.
type Slot = Arc<OnceCell<SandboxSession>>;

/// Template and session id. Two agents may be asked under the same session id.
type Key = (String, String);

#[derive(Debug, Default)]
pub(super) struct RuntimeSessions(Mutex<HashMap<Key, Slot>>);

impl RuntimeSessions {
    /// The session under this id, made by `create` if there is none or it has expired.
    pub(super) async fn get_or_create(
        &self,
        template_id: &str,
        session_id: &str,
        create: CreateSession,
    ) -> Result<SandboxSession, Error> {
        let key = (template_id.to_owned(), session_id.to_owned());
        let known = self.lock().get(&key).and_then(|slot| slot.get().cloned());
        if let Some(session) = known
            && !is_alive(&session).await?
        {
            self.forget(template_id, session_id, &session);
        }
        let slot = {
            let mut sessions = self.lock();
            forget_expired(&mut sessions);
            Arc::clone(sessions.entry(key).or_default())
        };
        let made = slot.get_or_try_init(|| create.into_future()).await;
        made.cloned()
    }

    /// Remembers a session under its own id.
    pub(super) fn keep(&self, template_id: &str, session: &SandboxSession) {
        let key = (template_id.to_owned(), session.session_id().to_owned());
        let mut sessions = self.lock();
        forget_expired(&mut sessions);
        sessions.insert(key, Arc::new(OnceCell::new_with(Some(session.clone()))));
    }

    /// Makes room for a new sandbox under this id, unless that has happened already.
    pub(super) fn forget(&self, template_id: &str, session_id: &str, gone: &SandboxSession) {
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

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        // A map has no broken state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the sessions whose time has long been up, and the places of those that were never made:
/// callers choose the ids, so there is no end to them.
fn forget_expired(sessions: &mut HashMap<Key, Slot>) {
    sessions.retain(|_, slot| match slot.get() {
        // Being made, if anyone else holds it.
        None => Arc::strong_count(slot) > 1,
        Some(session) if session.is_long_over() => {
            // Should somebody else have prolonged it, it is somebody else's.
            session.clone().detach();
            false
        }
        Some(_) => true,
    });
}

/// Asks the platform only if the session's time should be up; resumes what was paused then.
async fn is_alive(session: &SandboxSession) -> Result<bool, Error> {
    if session.is_closed() {
        return Ok(false);
    }
    if !session.should_have_expired() {
        return Ok(true);
    }
    let revived = match session.info().await {
        Ok(info) if info.state == SandboxState::Paused => session.resume().await,
        Ok(_) => session.refresh().await,
        Err(error) => Err(error),
    };
    match revived {
        Ok(()) => Ok(true),
        Err(Error::SessionNotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
