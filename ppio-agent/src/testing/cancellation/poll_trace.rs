//! Finds the line at which a future waits, without changes to the future.
//!
//! A leaf future that is polled with a different waker than before drops the waker that it has
//! stored. So the last poll before a cancellation is repeated with a new waker, and the `Drop` of
//! the old one, which runs below the leaf's `poll`, captures a backtrace. A future that wakes
//! itself does so below its `poll` as well. If a future polls several leaves, the last one to drop
//! the waker is found; its line is that of the `.await` that polls all of them.

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use tokio::sync::Notify;

use super::source_line::SourceLine;
use crate::exchange::error::Error;
use crate::invocation::call::Call;
use crate::invocation::executor::{HandlerFuture, Job};
use crate::invocation::handler::Handler;
use crate::invocation::reply::Outcome;

thread_local! {
    /// The trace of the future that this thread polls.
    static CURRENT: RefCell<Option<Arc<PollTrace>>> = const { RefCell::new(None) };
}

/// The wakers of one future, and where they were used.
#[derive(Debug)]
pub(super) struct PollTrace {
    thread: ThreadId,
    woken: Notify,
    state: Mutex<TraceState>,
}

#[derive(Debug, Default)]
struct TraceState {
    /// The number of polls so far, which is also the number of the newest waker.
    polls: u64,
    capturing: Option<Capturing>,
    /// The innermost use of a waker so far, with its backtrace.
    found: Option<(Depth, Backtrace)>,
}

/// The uses of a waker whose backtraces are captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Capturing {
    /// Wakes by the waker of this poll.
    Wakes(u64),
    /// The drop of the waker of this poll.
    Drops(u64),
}

/// Whether a waker is that of the whole future, or of the handler inside it. An agent has timers
/// around its handler, which drop the waker of the whole future last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    Whole,
    Handler,
}

impl PollTrace {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            thread: thread::current().id(),
            woken: Notify::new(),
            state: Mutex::default(),
        })
    }

    /// Polls a future with a new waker.
    pub(super) fn poll<T>(self: &Arc<Self>, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        self.state(|state| state.polls += 1);
        let waker = self.waker(Depth::Whole, None);
        let _current = CurrentTrace::set(self);
        poll(&mut Context::from_waker(&waker))
    }

    /// Polls a future that may be at the await point to be located: see [`locate`](Self::locate).
    pub(super) fn poll_last<T>(self: &Arc<Self>, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        self.state(|state| {
            state.found = None;
            state.capturing = Some(Capturing::Wakes(state.polls + 1));
        });
        let polled = self.poll(poll);
        self.state(|state| state.capturing = None);
        polled
    }

    /// Returns the line at which the future has waited since [`poll_last`](Self::poll_last). Polls
    /// the future once more, unless it was woken meanwhile and might continue.
    pub(super) fn locate(
        self: &Arc<Self>,
        poll: impl FnOnce(&mut Context<'_>),
    ) -> Option<SourceLine> {
        if !self.was_woken() {
            self.state(|state| {
                state.found = None;
                state.capturing = Some(Capturing::Drops(state.polls));
            });
            self.poll(poll);
            self.state(|state| state.capturing = None);
        }
        let found = self.state(|state| state.found.take());
        found.and_then(|(_, backtrace)| SourceLine::of(&backtrace))
    }

    /// Waits until the future is woken.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }

    fn was_woken(&self) -> bool {
        let mut woken = std::pin::pin!(self.woken.notified());
        let was_woken = woken.as_mut().enable();
        if was_woken {
            self.woken.notify_one();
        }
        was_woken
    }

    fn waker(self: &Arc<Self>, depth: Depth, forward: Option<Waker>) -> Waker {
        Waker::from(Arc::new(TracedWaker {
            trace: Arc::clone(self),
            poll: self.state(|state| state.polls),
            depth,
            forward,
        }))
    }

    fn capture(&self, use_of_waker: Capturing, depth: Depth) {
        if thread::current().id() != self.thread {
            return;
        }
        self.state(|state| {
            let is_deeper = |found: &(Depth, _)| depth >= found.0;
            if state.capturing == Some(use_of_waker) && state.found.as_ref().is_none_or(is_deeper) {
                state.found = Some((depth, Backtrace::force_capture()));
            }
        });
    }

    fn state<T>(&self, change: impl FnOnce(&mut TraceState) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Restores the previous trace of this thread when it is dropped.
struct CurrentTrace(Option<Arc<PollTrace>>);

impl CurrentTrace {
    fn set(trace: &Arc<PollTrace>) -> Self {
        Self(CURRENT.replace(Some(Arc::clone(trace))))
    }
}

impl Drop for CurrentTrace {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// The waker of one poll.
#[derive(Debug)]
struct TracedWaker {
    trace: Arc<PollTrace>,
    poll: u64,
    depth: Depth,
    /// The waker that this one replaces; if it is `None`, the whole future is woken.
    forward: Option<Waker>,
}

impl Wake for TracedWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.trace.capture(Capturing::Wakes(self.poll), self.depth);
        match &self.forward {
            Some(waker) => waker.wake_by_ref(),
            None => self.trace.woken.notify_one(),
        }
    }
}

impl Drop for TracedWaker {
    fn drop(&mut self) {
        self.trace.capture(Capturing::Drops(self.poll), self.depth);
    }
}

/// Wraps the handler of an agent, so that its await points can be located.
pub(in crate::testing) fn traced_handler(handler: Handler) -> Handler {
    Arc::new(move |call: Call| -> Result<Job, Error> {
        let job = handler(call)?;
        Ok(Job {
            future: Box::pin(TracedHandler(job.future)),
            ..job
        })
    })
}

/// Polls a handler with a waker that is not shared with the code around it.
struct TracedHandler(HandlerFuture);

impl Future for TracedHandler {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match CURRENT.with_borrow(Clone::clone) {
            None => self.0.as_mut().poll(cx),
            Some(trace) => {
                let waker = trace.waker(Depth::Handler, Some(cx.waker().clone()));
                self.0.as_mut().poll(&mut Context::from_waker(&waker))
            }
        }
    }
}
