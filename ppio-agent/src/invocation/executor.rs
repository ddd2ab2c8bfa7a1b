//! Runs one handler, on the async workers or on blocking threads as it asks.
//!
//! A handler is a single future, whatever its author wrote. An `async fn` is polled where it is
//! awaited. A plain `fn` or an iterator must not be: its future is moved to a blocking thread for a
//! *turn*, which ends when the handler is done, when the response has enough for now, or when its
//! time slice is over. Between turns the future is parked here and holds no thread, so thousands
//! of slow iterators share a few hundred threads, and a slow client holds none.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use crate::exchange::error::Error;
use crate::exchange::rejection::Failure;
use crate::invocation::event_buffer::{Outlet, Place};
use crate::invocation::handler::Job;
use crate::invocation::reply::Outcome;
use crate::server::agent::SharedAgent;

/// A handler at work.
pub(crate) type HandlerFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;

type Permit = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

/// A handler's future together with the place where it is polled.
pub(crate) struct Drive {
    stage: Stage,
    outlet: Outlet,
    agent: SharedAgent,
}

enum Stage {
    /// Between steps.
    Parked(HandlerFuture),
    /// Waiting for one of the blocking threads.
    Queued(HandlerFuture, Permit),
    /// On a blocking thread.
    Turn(JoinHandle<TurnEnd>),
    Done,
}

enum TurnEnd {
    Finished(Outcome),
    Parked(HandlerFuture),
}

impl Drive {
    pub(crate) fn new(job: Job, agent: SharedAgent) -> Self {
        Self {
            stage: Stage::Parked(job.future),
            outlet: job.outlet,
            agent,
        }
    }

    pub(crate) fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    fn start_turn(&self, mut future: HandlerFuture, permit: OwnedSemaphorePermit) -> Stage {
        let outlet = self.outlet.clone();
        Stage::Turn(tokio::task::spawn_blocking(move || {
            let _permit = permit;
            if !outlet.begin_turn() {
                return TurnEnd::Parked(future);
            }
            // Blocking code has nothing to wake it; it returns `Pending` only to yield.
            match poll_caught(&mut future, &mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => TurnEnd::Finished(outcome),
                Poll::Pending => TurnEnd::Parked(future),
            }
        }))
    }
}

impl Future for Drive {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Parked(mut future) => match self.outlet.place() {
                    Place::Worker => {
                        if let Poll::Ready(outcome) = poll_caught(&mut future, cx) {
                            return Poll::Ready(outcome);
                        }
                        let moved = self.outlet.place() == Place::Blocking;
                        self.stage = Stage::Parked(future);
                        if !moved {
                            return Poll::Pending;
                        }
                    }
                    Place::Blocking if !self.outlet.has_room() => {
                        self.stage = Stage::Parked(future);
                        return Poll::Pending;
                    }
                    Place::Blocking => {
                        self.stage = match self.agent.pool.try_acquire() {
                            Some(permit) => self.start_turn(future, permit),
                            None => {
                                Stage::Queued(future, Box::pin(self.agent.pool.clone().acquire()))
                            }
                        };
                    }
                },
                Stage::Queued(future, mut permit) => match permit.as_mut().poll(cx) {
                    Poll::Ready(Some(permit)) => self.stage = self.start_turn(future, permit),
                    Poll::Ready(None) => {
                        return Poll::Ready(Outcome::Failed(Failure::Draining.into()));
                    }
                    Poll::Pending => {
                        self.stage = Stage::Queued(future, permit);
                        return Poll::Pending;
                    }
                },
                Stage::Turn(mut turn) => {
                    self.outlet.register(cx.waker());
                    match Pin::new(&mut turn).poll(cx) {
                        Poll::Ready(Ok(TurnEnd::Finished(outcome))) => return Poll::Ready(outcome),
                        Poll::Ready(Ok(TurnEnd::Parked(future))) => {
                            self.stage = Stage::Parked(future);
                        }
                        // Only a runtime that shuts down cancels a blocking task.
                        Poll::Ready(Err(_)) => {
                            return Poll::Ready(Outcome::Failed(Failure::Draining.into()));
                        }
                        Poll::Pending => {
                            self.stage = Stage::Turn(turn);
                            return Poll::Pending;
                        }
                    }
                }
                // Polled again after its end, which the response never does.
                Stage::Done => return Poll::Pending,
            }
        }
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Done);
        if matches!(stage, Stage::Done) {
            // Nothing is left that could write.
            return;
        }
        self.outlet.close();
        if let Stage::Parked(future) | Stage::Queued(future, _) = stage
            && self.outlet.place() == Place::Blocking
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // What an iterator does in its `Drop` may block as well.
            drop(runtime.spawn_blocking(move || drop(future)));
        }
    }
}

/// Polls the author's code; a panic in it is an outcome like any other.
fn poll_caught(future: &mut HandlerFuture, cx: &mut Context<'_>) -> Poll<Outcome> {
    // The future is not used again after a panic, so nothing sees a broken state.
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(Outcome::Failed(panicked(panic.as_ref()))),
    }
}

/// The error of a panic.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    Failure::Panicked(panic_message(panic).to_owned()).into()
}

/// The message of a panic, where it has one.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
