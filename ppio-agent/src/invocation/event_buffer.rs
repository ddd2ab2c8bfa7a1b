//! Where a running handler puts its items, and where the response takes them from.
//!
//! A handler is one future. It writes serialized items into the outlet; the response body polls
//! that future only when the connection wants more, so a slow client slows the handler down and
//! nothing piles up. Blocking code is the same future polled on a blocking thread (see `drive`),
//! which is why the outlet is shared and not a plain buffer.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;

use crate::exchange::error::Error;
use crate::exchange::json::Style;
use crate::exchange::rejection::Failure;

/// Items that are ready are written together up to this many bytes.
const HIGH_WATER: usize = 32 * 1024;
/// How long an iterator may keep its thread; then another stream may have it.
const SLICE: Duration = Duration::from_millis(10);

/// Which threads may run the handler's next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The async workers: the step never blocks.
    Worker,
    /// A blocking thread: the step is the author's synchronous code.
    Blocking,
}

/// What a handler does after an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Produce the next one.
    More,
    /// Return `Pending` without a waker: whoever polls, polls again when more is wanted.
    Yield,
}

/// The meeting point of one handler and its response.
#[derive(Clone)]
pub struct Outlet {
    shared: Arc<Mutex<State>>,
    style: Style,
}

struct State {
    /// Encoded events. Only the first `complete` bytes are whole ones.
    buffer: Vec<u8>,
    complete: usize,
    items: u64,
    streaming: bool,
    closed: bool,
    place: Place,
    slice_end: Option<Instant>,
    reader: Option<Waker>,
}

impl Outlet {
    pub(crate) fn new(style: Style, place: Place) -> Self {
        Self {
            shared: Arc::new(Mutex::new(State {
                buffer: Vec::new(),
                complete: 0,
                items: 0,
                streaming: false,
                closed: false,
                place,
                slice_end: None,
                reader: None,
            })),
            style,
        }
    }

    /// How the caller wants a value to be written.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// A lock poisoned by a panicking `Serialize` still guards a sound state: the half-written item
    /// lies behind `complete`.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Continues the calling handler in the given place.
    pub(crate) async fn move_to(&self, place: Place) {
        let mut asked = false;
        poll_fn(|_| {
            let mut state = self.state();
            if asked || state.place == place {
                return Poll::Ready(());
            }
            // Whoever polls compares the place after each step, and polls again over there.
            asked = true;
            state.place = place;
            Poll::Pending
        })
        .await;
    }

    /// Lets go of the thread once; see [`Flow::Yield`].
    pub(crate) async fn pause(&self) {
        let mut paused = false;
        poll_fn(|_| {
            if std::mem::replace(&mut paused, true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// From here on the answer is an event stream, and its head can be sent.
    pub(crate) fn start_stream(&self) {
        let mut state = self.state();
        state.streaming = true;
        state.wake();
    }

    /// Writes one item as an event. The reader is woken at once: an item that is ready alone is
    /// never held back for the next one.
    pub(crate) fn push<T: Serialize + ?Sized>(&self, item: &T) -> Result<Flow, Error> {
        let mut state = self.state();
        let State {
            buffer, complete, ..
        } = &mut *state;
        buffer.truncate(*complete);
        buffer.extend_from_slice(b"data: ");
        // JSON text has no raw line breaks, so one `data:` line holds it.
        if let Err(error) = serde_json::to_writer(&mut *buffer, item) {
            buffer.truncate(*complete);
            return Err(Failure::NotSerializable(error.to_string()).into());
        }
        buffer.extend_from_slice(b"\n\n");
        *complete = buffer.len();
        state.items += 1;
        state.wake();
        let over = state.slice_end.is_some_and(|end| Instant::now() >= end);
        Ok(if over || state.closed || state.complete >= HIGH_WATER {
            Flow::Yield
        } else {
            Flow::More
        })
    }

    /// Starts a turn of blocking code, and tells whether it is still wanted.
    pub(crate) fn begin_turn(&self) -> bool {
        let mut state = self.state();
        state.slice_end = Some(Instant::now() + SLICE);
        !state.closed
    }

    pub(crate) fn place(&self) -> Place {
        self.state().place
    }

    pub(crate) fn is_streaming(&self) -> bool {
        self.state().streaming
    }

    pub(crate) fn has_room(&self) -> bool {
        self.state().complete < HIGH_WATER
    }

    pub(crate) fn items(&self) -> u64 {
        self.state().items
    }

    /// Registers who is woken by the next item. Call before looking for items.
    pub(crate) fn register(&self, waker: &Waker) {
        self.state().reader = Some(waker.clone());
    }

    /// Takes the whole events written so far.
    pub(crate) fn take(&self) -> Bytes {
        let mut state = self.state();
        let complete = std::mem::take(&mut state.complete);
        if complete == 0 {
            return Bytes::new();
        }
        let fresh = Vec::with_capacity(complete.min(HIGH_WATER));
        let mut events = std::mem::replace(&mut state.buffer, fresh);
        events.truncate(complete);
        events.into()
    }

    /// Nobody will read again: blocking code stops at its next item.
    pub(crate) fn close(&self) {
        self.state().closed = true;
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}
