//! Cancels the run of an invocation whose caller has left.

use std::time::Duration;

use http::HeaderMap;

use super::run_calls::cancel_call;
use crate::session::{SandboxSession, WeakSession};
use crate::transport::{Deadline, Idempotency};

/// The time limit of the call; after it, the agent cancels the run by itself.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Cancels a run when it is dropped.
///
/// An agent that honours idempotency keys waits some seconds for the caller of a broken connection.
/// For a caller that leaves on purpose, that would be work for nothing.
#[derive(Debug)]
pub(super) struct CancelOnDrop(Option<Box<Cancellation>>);

#[derive(Debug)]
struct Cancellation {
    session: WeakSession,
    run_id: String,
    headers: HeaderMap,
}

impl CancelOnDrop {
    /// Cancels this run of the session, with these headers of the caller.
    pub(super) fn new(session: &SandboxSession, run_id: &str, headers: HeaderMap) -> Self {
        Self(Some(Box::new(Cancellation {
            session: session.downgrade(),
            run_id: run_id.to_owned(),
            headers,
        })))
    }

    /// One that does nothing.
    pub(super) fn disarmed() -> Self {
        Self(None)
    }

    pub(super) fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let Some(cancellation) = self.0.take() else {
            return;
        };
        let (run_id, headers) = (cancellation.run_id, cancellation.headers);
        // A sandbox that was created for the session is killed with its last handle.
        let Some(session) = cancellation.session.upgrade() else {
            return;
        };
        if session.is_closed() || !session.is_known_to_honour_keys() {
            return;
        }
        let Ok(call) = cancel_call(&run_id, headers) else {
            return;
        };
        let call = call.idempotency(Idempotency::Never).without_queue();
        let task = {
            let session = session.clone();
            async move {
                let deadline = Deadline::after(CANCEL_TIMEOUT);
                if let Err(error) = session.send(call, deadline).await {
                    let error = error.report();
                    tracing::debug!(%run_id, %error, "cannot cancel a run");
                }
            }
        };
        session.in_background(task);
    }
}
