//! The buffer between a running handler and its response.
//!
//! A handler is one future. It writes serialized items into the buffer, and the response body polls
//! that future only when the connection can take more data. So a slow client slows the handler
//! down, and the buffer stays small. The future of blocking code is polled on a blocking thread
//! (see `executor`), which is why the buffer is shared.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use ppio_agent_protocol::sse;
use serde::Serialize;

use super::counters::InvocationProgress;
use crate::exchange::error::Error;
use crate::exchange::rejection::Rejection;
use crate::exchange::requested_format::RequestedFormat;
use crate::exchange::written_value::write_item;
use crate::telemetry::RequestTrace;
use crate::token_usage::TokenUsage;

/// The number of buffered bytes at which the handler pauses until they are taken.
pub(crate) const HIGH_WATER: usize = 32 * 1024;
/// The time after which an iterator leaves its thread to another stream, once its next item is
/// written.
const TIME_SLICE: Duration = Duration::from_millis(10);

/// The threads that poll the handler next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunOn {
    /// The async workers: the code never blocks.
    Async,
    /// A blocking thread: the code is the user's synchronous code.
    Blocking,
}

/// The event stream that one handler writes and one response reads.
#[derive(Clone)]
pub struct EventBuffer {
    shared: Arc<SharedBuffer>,
    format: RequestedFormat,
    trace: RequestTrace,
}

struct SharedBuffer {
    /// Whether blocking threads poll the handler next. The flag is outside of the lock, because
    /// each poll reads it; a poll on another thread is joined before the flag is read.
    is_blocking: AtomicBool,
    state: Mutex<BufferState>,
}

struct BufferState {
    /// Encoded events. Only the first `complete` bytes are whole events.
    events: Vec<u8>,
    complete: usize,
    progress: InvocationProgress,
    streaming: bool,
    closed: bool,
    slice_end: Option<Instant>,
    /// The time for which the handler waited for its session turn and for blocking threads.
    queue_time: Duration,
    reader: Option<Waker>,
}

impl EventBuffer {
    pub(crate) fn new(format: RequestedFormat, run_on: RunOn, trace: RequestTrace) -> Self {
        Self {
            shared: Arc::new(SharedBuffer {
                is_blocking: AtomicBool::new(run_on == RunOn::Blocking),
                state: Mutex::new(BufferState {
                    events: Vec::new(),
                    complete: 0,
                    progress: InvocationProgress::default(),
                    streaming: false,
                    closed: false,
                    slice_end: None,
                    queue_time: Duration::ZERO,
                    reader: None,
                }),
            }),
            format,
            trace,
        }
    }

    /// Returns the trace of the request.
    pub(crate) fn trace(&self) -> &RequestTrace {
        &self.trace
    }

    /// Returns the format of the response.
    pub(crate) fn format(&self) -> RequestedFormat {
        self.format
    }

    /// Locks the state. A `Serialize` that panics poisons the lock but leaves the state valid: its
    /// item lies after the first `complete` bytes.
    fn state(&self) -> MutexGuard<'_, BufferState> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Continues the calling handler on the given threads.
    pub(crate) async fn continue_on(&self, run_on: RunOn) {
        let mut requested = false;
        poll_fn(|_| {
            if requested || self.run_on() == run_on {
                return Poll::Ready(());
            }
            // The executor compares `run_on` after each poll, and polls again on the other threads.
            requested = true;
            let is_blocking = run_on == RunOn::Blocking;
            self.shared.is_blocking.store(is_blocking, Relaxed);
            Poll::Pending
        })
        .await;
    }

    /// Returns to the executor once.
    pub(crate) async fn yield_now(&self) {
        let mut yielded = false;
        poll_fn(|_| {
            if std::mem::replace(&mut yielded, true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Makes the response an event stream, whose headers can be sent from now on.
    pub(crate) fn start_stream(&self) {
        let mut state = self.state();
        state.streaming = true;
        state.wake();
    }

    /// Writes one item as an event and wakes the reader immediately: a ready item never waits for
    /// the next one.
    ///
    /// On `Break` the handler returns `Pending` without a waker; the executor polls it again when
    /// the response can take more items.
    pub(crate) fn push<T: Serialize + ?Sized>(&self, item: &T) -> Result<ControlFlow<()>, Error> {
        let mut state = self.state();
        let BufferState {
            events,
            complete,
            progress,
            ..
        } = &mut *state;
        events.truncate(*complete);
        events.extend_from_slice(b"data: ");
        let json = events.len();
        let is_chat_event = match write_item(item, self.format, events) {
            Ok(is_chat_event) => is_chat_event,
            Err(error) => {
                events.truncate(*complete);
                return Err(Rejection::NotSerializable(error.to_string()).into());
            }
        };
        if is_chat_event && let Some(usage) = TokenUsage::of_event(&events[json..]) {
            progress.tokens.add(usage);
        }
        if self.trace.observes(is_chat_event) {
            self.trace.item(&events[json..], is_chat_event);
        }
        if let Some(line) = sse::single_line(&events[json..]) {
            events.truncate(json);
            events.extend_from_slice(&line);
        }
        events.extend_from_slice(b"\n\n");
        *complete = events.len();
        state.progress.items += 1;
        state.wake();
        let over = state.slice_end.is_some_and(|end| Instant::now() >= end);
        Ok(if over || state.closed || state.complete >= HIGH_WATER {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    /// Begins a time slice of blocking code. Returns whether the response still reads the items.
    pub(crate) fn begin_slice(&self) -> bool {
        let mut state = self.state();
        state.slice_end = Some(Instant::now() + TIME_SLICE);
        !state.closed
    }

    /// Adds time for which the handler waited for its session turn or for a blocking thread.
    pub(crate) fn add_queue_time(&self, waited: Duration) {
        self.state().queue_time += waited;
    }

    pub(crate) fn queue_time(&self) -> Duration {
        self.state().queue_time
    }

    pub(crate) fn run_on(&self) -> RunOn {
        if self.shared.is_blocking.load(Relaxed) {
            RunOn::Blocking
        } else {
            RunOn::Async
        }
    }

    pub(crate) fn is_streaming(&self) -> bool {
        self.state().streaming
    }

    pub(crate) fn has_room(&self) -> bool {
        self.state().complete < HIGH_WATER
    }

    /// Returns the progress of the items written so far.
    pub(crate) fn progress(&self) -> InvocationProgress {
        self.state().progress
    }

    /// Sets the waker of the reader. This has to be called before the reader takes items.
    pub(crate) fn register(&self, waker: &Waker) {
        self.state().reader = Some(waker.clone());
    }

    /// Takes the whole events written so far, with the progress up to them.
    pub(crate) fn take(&self) -> (Vec<u8>, InvocationProgress) {
        let mut state = self.state();
        (state.take(), state.progress)
    }

    /// Records that the response no longer reads; blocking code then stops at its next item.
    pub(crate) fn close(&self) {
        self.state().closed = true;
    }
}

impl BufferState {
    fn take(&mut self) -> Vec<u8> {
        let complete = std::mem::take(&mut self.complete);
        if complete == 0 {
            return Vec::new();
        }
        let next = Vec::with_capacity(complete.min(HIGH_WATER));
        let mut events = std::mem::replace(&mut self.events, next);
        events.truncate(complete);
        events
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}
