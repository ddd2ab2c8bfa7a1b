//! Polls a handler on the async workers or on blocking threads.
//!
//! A handler is a single future, whatever kind of function the user wrote. An `async fn` is polled
//! where it is awaited. A plain `fn` or an iterator may block, so its future is polled on a
//! blocking thread for one [`BlockingStep`] at a time. A step ends when the handler is done, when
//! the response has enough data for now, or when its time slice is over. Between steps the future
//! is kept in the `InvocationFuture` and occupies no thread, so thousands of slow iterators share a
//! few hundred threads, and a slow client occupies none.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::blocking_pool::BlockingPool;
use super::event_buffer::{EventBuffer, RunOn};
use super::reply::Outcome;
use super::session_gate::SessionTurn;
use crate::exchange::error::Error;
use crate::exchange::rejection::Rejection;
use crate::exchange::requested_format::RequestedFormat;
use crate::telemetry::RequestTrace;

/// The future of a handler.
pub(crate) type HandlerFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;

type Permit = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

/// A started invocation: its future, and the buffer that the future writes into.
pub struct Job {
    pub(crate) future: HandlerFuture,
    pub(crate) buffer: EventBuffer,
}

/// Starts a job: parses the request and calls the user function.
type Start = Box<dyn FnOnce() -> Result<Job, Error> + Send>;

/// Runs a [`Job`] on the threads that it needs.
pub(crate) struct InvocationFuture {
    stage: Stage,
    buffer: EventBuffer,
    pool: BlockingPool,
    /// The turn in the session, if its invocations run one at a time.
    turn: Option<Box<SessionTurn>>,
}

enum Stage {
    /// Waiting for the turn in the session, before the user function is called.
    Waiting(Start, Instant),
    /// Between polls.
    Parked(HandlerFuture),
    /// Waiting for a blocking thread.
    Queued(HandlerFuture, Permit),
    /// On a blocking thread.
    Blocking(BlockingStep),
    Done,
}

/// One poll of a handler on a blocking thread.
type BlockingStep = JoinHandle<StepResult>;

enum StepResult {
    Finished(Outcome),
    Parked(HandlerFuture),
}

impl InvocationFuture {
    pub(crate) fn new(job: Job, pool: BlockingPool, turn: Option<Box<SessionTurn>>) -> Self {
        Self {
            stage: Stage::Parked(job.future),
            buffer: job.buffer,
            pool,
            turn,
        }
    }

    /// Creates an invocation that starts when its turn is ready.
    pub(crate) fn waiting(
        start: impl FnOnce() -> Result<Job, Error> + Send + 'static,
        format: RequestedFormat,
        pool: BlockingPool,
        turn: Box<SessionTurn>,
    ) -> Self {
        Self {
            stage: Stage::Waiting(Box::new(start), Instant::now()),
            // This buffer is replaced by the buffer of the job.
            buffer: EventBuffer::new(format, RunOn::Async, RequestTrace::default()),
            pool,
            turn: Some(turn),
        }
    }

    /// Takes the turn of an invocation that continues in the body of its response.
    pub(crate) fn take_turn(&mut self) -> Option<Box<SessionTurn>> {
        self.turn.take()
    }

    pub(crate) fn buffer(&self) -> &EventBuffer {
        &self.buffer
    }

    fn wait_for_thread(&self) -> Permit {
        let (pool, buffer) = (self.pool.clone(), self.buffer.clone());
        Box::pin(async move {
            let queued = Instant::now();
            let permit = pool.acquire().await;
            buffer.add_queue_time(queued.elapsed());
            permit
        })
    }

    fn start_step(&self, mut future: HandlerFuture, permit: OwnedSemaphorePermit) -> Stage {
        let buffer = self.buffer.clone();
        Stage::Blocking(tokio::task::spawn_blocking(move || {
            let _permit = permit;
            if !buffer.begin_slice() {
                return StepResult::Parked(future);
            }
            // Blocking code needs no waker, since it returns `Pending` only to yield.
            match poll_caught(&mut future, &mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => StepResult::Finished(outcome),
                Poll::Pending => StepResult::Parked(future),
            }
        }))
    }
}

impl Future for InvocationFuture {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Some(turn) = &self.turn
            && let Err(interrupted) = ready!(turn.poll(cx))
        {
            self.stop();
            self.turn = None;
            return Poll::Ready(Outcome::Failed(interrupted.into()));
        }
        let outcome = ready!(self.poll_handler(cx));
        if !matches!(outcome, Outcome::Response(_)) {
            self.turn = None;
        }
        Poll::Ready(outcome)
    }
}

impl InvocationFuture {
    fn poll_handler(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Waiting(start, since) => match start() {
                    Ok(job) => {
                        job.buffer.add_queue_time(since.elapsed());
                        self.stage = Stage::Parked(job.future);
                        self.buffer = job.buffer;
                    }
                    Err(error) => return Poll::Ready(Outcome::Failed(error)),
                },
                Stage::Parked(mut future) => match self.buffer.run_on() {
                    RunOn::Async => {
                        if let Poll::Ready(outcome) = poll_caught(&mut future, cx) {
                            return Poll::Ready(outcome);
                        }
                        let moved = self.buffer.run_on() == RunOn::Blocking;
                        self.stage = Stage::Parked(future);
                        if !moved {
                            return Poll::Pending;
                        }
                    }
                    RunOn::Blocking if !self.buffer.has_room() => {
                        self.stage = Stage::Parked(future);
                        return Poll::Pending;
                    }
                    RunOn::Blocking => {
                        self.stage = match self.pool.try_acquire() {
                            Some(permit) => self.start_step(future, permit),
                            None => Stage::Queued(future, self.wait_for_thread()),
                        };
                    }
                },
                Stage::Queued(future, mut permit) => match permit.as_mut().poll(cx) {
                    Poll::Ready(Some(permit)) => self.stage = self.start_step(future, permit),
                    Poll::Ready(None) => {
                        return Poll::Ready(Outcome::Failed(Rejection::ShuttingDown.into()));
                    }
                    Poll::Pending => {
                        self.stage = Stage::Queued(future, permit);
                        return Poll::Pending;
                    }
                },
                Stage::Blocking(mut step) => {
                    self.buffer.register(cx.waker());
                    match Pin::new(&mut step).poll(cx) {
                        Poll::Ready(Ok(StepResult::Finished(outcome))) => {
                            return Poll::Ready(outcome);
                        }
                        Poll::Ready(Ok(StepResult::Parked(future))) => {
                            self.stage = Stage::Parked(future);
                        }
                        // A blocking task is cancelled only if the runtime shuts down.
                        Poll::Ready(Err(_)) => {
                            return Poll::Ready(Outcome::Failed(Rejection::ShuttingDown.into()));
                        }
                        Poll::Pending => {
                            self.stage = Stage::Blocking(step);
                            return Poll::Pending;
                        }
                    }
                }
                // The response does not poll again after the end.
                Stage::Done => return Poll::Pending,
            }
        }
    }
}

impl InvocationFuture {
    /// Drops the handler before its end.
    fn stop(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Done);
        if matches!(stage, Stage::Done) {
            return;
        }
        self.buffer.close();
        if let Stage::Parked(future) | Stage::Queued(future, _) = stage
            && self.buffer.run_on() == RunOn::Blocking
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // The `Drop` of an iterator may block as well.
            drop(runtime.spawn_blocking(move || drop(future)));
        }
    }
}

impl Drop for InvocationFuture {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Polls user code. A panic becomes a failed outcome.
fn poll_caught(future: &mut HandlerFuture, cx: &mut Context<'_>) -> Poll<Outcome> {
    // The future is not polled again after a panic, so its broken state is never read.
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(Outcome::Failed(Error::from_panic(panic.as_ref()))),
    }
}
