//! A session that waits for its connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// The future of a session, in the extensions of the response to its handshake. The server that
/// sends the response runs the future; dropping the future ends the session.
#[derive(Clone)]
pub(crate) struct PendingSession(Arc<Mutex<Option<SessionFuture>>>);

pub(crate) type SessionFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

impl PendingSession {
    pub(super) fn new(session: impl Future<Output = ()> + Send + 'static) -> Self {
        let session: SessionFuture = Box::pin(session);
        Self(Arc::new(Mutex::new(Some(session))))
    }

    /// Returns the session at the first call, and `None` after that.
    pub(crate) fn take(&self) -> Option<SessionFuture> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
