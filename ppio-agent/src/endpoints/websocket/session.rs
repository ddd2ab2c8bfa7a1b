//! An open WebSocket: its connection and the user function run concurrently.

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::{Duration, Instant};

use http::StatusCode;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use ppio_agent_websocket::{
    Role, SocketDriver, SocketEnd, SocketLimits, WebSocketError, close_code, open,
};
use tokio::sync::watch;
use tracing::{Instrument as _, Span};

use super::call::{WebSocketCall, WebSocketFuture};
use crate::exchange::context::{AgentRuntimeContext, RequestContext};
use crate::exchange::error::Error;
use crate::exchange::rejection::Rejection;
use crate::invocation::counters::InvocationProgress;
use crate::invocation::guard::InvocationGuard;
use crate::stalls::Watch;

/// The time for which a function that does not outlive its client may continue after the client has
/// disconnected, unless the agent is shutting down.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(5);

type Connection = SocketDriver<TokioIo<Upgraded>>;

/// The function that serves the socket.
pub(super) type SessionFunction = Box<dyn FnOnce(WebSocketCall) -> WebSocketFuture + Send>;

/// A session before its connection is upgraded.
pub(super) struct SocketSession {
    pub(super) function: SessionFunction,
    pub(super) watch: Watch,
    pub(super) context: RequestContext,
    /// The invocation of the session. The guard is `None` if the function begins an invocation
    /// itself. Such an invocation has a deadline and continues during a shutdown, like the
    /// invocation of a request.
    pub(super) guard: Option<InvocationGuard>,
    pub(super) span: Span,
    pub(super) started: Instant,
    pub(super) limits: SocketLimits,
    pub(super) outlives_client: bool,
    pub(super) shutdown: watch::Receiver<()>,
}

impl SocketSession {
    /// Runs until the user function has returned or was dropped, and the connection is closed. The
    /// function is dropped at the caller's deadline, and some time after the client has
    /// disconnected. Dropping the future drops the function and the connection.
    pub(super) async fn run(mut self, upgrade: OnUpgrade) {
        // An error means that the client has disconnected; the guard logs the disconnection.
        let Ok(upgraded) = upgrade.await else { return };
        let context = self.context;
        let is_invocation = self.guard.is_some();
        let deadline = context.requested_deadline().filter(|_| is_invocation);
        if let Some(guard) = &mut self.guard {
            guard.mark_long();
        }
        let (socket, driver) = open(TokioIo::new(upgraded), Role::Server, self.limits).await;
        let call = WebSocketCall {
            socket,
            context: context.clone(),
        };
        let mut connection = Some(driver);
        let mut sent = 0;
        let function = scoped(self.function, call, context.clone(), &self.span);
        let (watch, id) = (self.watch, context.clone());
        let watched = async move { watch.run(id.request_id_bytes(), function).await };
        let mut function: Option<WebSocketFuture> = Some(Box::pin(watched));
        let mut outcome = None;
        let mut end = None;
        let mut drop_at = None;
        let mut is_draining = false;
        while outcome.is_none() || end.is_none() {
            tokio::select! {
                biased;
                result = next(&mut function) => {
                    function = None;
                    if has_failed(&result) {
                        close(connection.as_ref(), close_code::SERVER_ERROR, "internal error");
                    } else {
                        close(connection.as_ref(), close_code::NORMAL, "");
                    }
                    outcome = Some(result);
                }
                found = next(&mut connection) => {
                    sent = connection.take().map_or(0, |connection| connection.sent());
                    end = Some(found);
                    if !self.outlives_client {
                        context.cancel();
                        if !is_draining {
                            drop_at = Some(Instant::now() + CLEANUP_TIMEOUT);
                        }
                    }
                }
                _ = self.shutdown.changed(), if is_invocation && !is_draining => {
                    is_draining = true;
                    // The server drops this future at the end of the grace period.
                    drop_at = None;
                    close(connection.as_ref(), close_code::GOING_AWAY, "the agent is shutting down");
                }
                () = at(deadline), if outcome.is_none() => {
                    function = None;
                    let limit = deadline.map_or(Duration::ZERO, |at| at - self.started);
                    close(connection.as_ref(), close_code::GOING_AWAY, "the client's timeout has expired");
                    outcome = Some(Err(Rejection::StreamTimedOut(limit).into()));
                }
                () = at(drop_at), if outcome.is_none() => break,
            }
        }
        if let Some(guard) = self.guard {
            finish(guard, outcome, end, sent);
        }
    }
}

/// Counts and logs the end of a session.
fn finish(
    mut guard: InvocationGuard,
    outcome: Option<Result<(), Error>>,
    end: Option<SocketEnd>,
    sent: u64,
) {
    let sent = InvocationProgress::of_items(sent);
    match (outcome, end) {
        // The function was dropped, since the client has disconnected.
        (None, _) => guard.cancelled(sent),
        (Some(result), _) if has_failed(&result) => {
            if let Err(error) = result {
                guard.stream_failed(&error, sent);
            }
        }
        (_, Some(SocketEnd::Refused(error))) => guard.stream_failed(&error.into(), sent),
        (Some(Err(_)), Some(SocketEnd::ClosedByPeer(_) | SocketEnd::Broken(_))) => {
            guard.cancelled(sent);
        }
        _ => {
            guard.responded(StatusCode::SWITCHING_PROTOCOLS, sent);
        }
    }
}

/// Whether the function itself failed, as opposed to a call on a closed socket.
fn has_failed(result: &Result<(), Error>) -> bool {
    match result {
        Ok(()) => false,
        Err(error) => match error.rejection() {
            Some(Rejection::WebSocket(error)) => {
                matches!(error, WebSocketError::InvalidClose { .. })
            }
            _ => true,
        },
    }
}

/// Calls the function in the context of its request, and turns a panic into an error.
fn scoped(
    function: SessionFunction,
    call: WebSocketCall,
    context: RequestContext,
    span: &Span,
) -> WebSocketFuture {
    let mut future: WebSocketFuture = Box::pin(async move { function(call).await });
    let caught = poll_fn(move |cx| {
        // The future is not polled again after a panic: its state may be broken.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Err(Error::from_panic(panic.as_ref()))),
        }
    });
    Box::pin(AgentRuntimeContext::scope(context, caught).instrument(span.clone()))
}

/// Awaits a future; never returns if `future` is `None`, as it is after the future has ended.
async fn next<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

fn close(connection: Option<&Connection>, code: u16, reason: &str) {
    if let Some(connection) = connection {
        connection.close(code, reason);
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

/// Closes a WebSocket that no function serves, with the code of AgentCore's runtime.
pub(super) async fn refuse(upgrade: OnUpgrade, limits: SocketLimits) {
    let Ok(upgraded) = upgrade.await else { return };
    let (_socket, driver) = open(TokioIo::new(upgraded), Role::Server, limits).await;
    driver.close(close_code::SERVER_ERROR, "the agent serves no WebSocket");
    driver.await;
}
