//! Cancels the run of an invocation that the caller has dropped.

use std::time::Duration;

use http::HeaderMap;
use tracing::Span;

use super::run_calls::cancel_call;
use crate::session::{SandboxSession, WeakSession};
use crate::transport::{Deadline, Idempotency};

/// The time limit of the request to cancel. Without that request, the agent cancels the run by
/// itself after some seconds without a caller.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Cancels a run when it is dropped.
///
/// An agent that honours idempotency keys waits some seconds for the caller to reconnect after a
/// broken connection. After a caller has dropped the invocation on purpose, the agent would
/// continue the run for that time without a caller.
#[derive(Debug)]
pub(super) struct CancelOnDrop {
    cancellation: Option<Box<Cancellation>>,
    /// The span of the invocation, which ends with its stream.
    span: Span,
}

#[derive(Debug)]
struct Cancellation {
    session: WeakSession,
    run_id: String,
    headers: HeaderMap,
}

impl CancelOnDrop {
    /// Returns a guard that cancels this run of the session, with these headers of the caller.
    pub(super) fn new(session: &SandboxSession, run_id: &str, headers: HeaderMap) -> Self {
        let cancellation = Box::new(Cancellation {
            session: session.downgrade(),
            run_id: run_id.to_owned(),
            headers,
        });
        Self {
            cancellation: Some(cancellation),
            span: Span::none(),
        }
    }

    /// Returns a guard that does nothing.
    pub(super) fn disarmed() -> Self {
        Self {
            cancellation: None,
            span: Span::none(),
        }
    }

    /// Keeps the span of the invocation open.
    pub(super) fn hold(&mut self, span: Span) {
        self.span = span;
    }

    pub(super) fn disarm(&mut self) {
        self.cancellation = None;
        self.end_span();
    }

    fn end_span(&mut self) {
        // `tracing-opentelemetry` uses the time at which a span was last exited as its end.
        std::mem::replace(&mut self.span, Span::none()).in_scope(|| {});
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.end_span();
        let Some(cancellation) = self.cancellation.take() else {
            return;
        };
        let (run_id, headers) = (cancellation.run_id, cancellation.headers);
        // A sandbox that was created for the session is killed when the session's last handle is
        // dropped.
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
