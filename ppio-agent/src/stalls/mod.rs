//! Finds functions that block an async worker.
//!
//! While a thread polls user code, its [`PollSlot`](slot::PollSlot) holds the function and the
//! request, which costs a few plain writes per poll. A separate thread (`sampler`) reads the slots
//! periodically, and so finds a long poll while it runs, even one that never returns.

mod sampler;
mod slot;
mod thread_slot;

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;

use self::thread_slot::THREAD;

/// The functions of one agent that are polled on async workers.
#[derive(Debug)]
pub(crate) struct AsyncFunctions {
    /// How long a poll may take; `None` to watch nothing.
    limit: Option<Duration>,
    functions: Vec<Arc<AsyncFunction>>,
}

/// A function that is polled on async workers.
#[derive(Debug)]
pub(crate) struct AsyncFunction {
    /// The path of the function, or its role in the builder.
    pub(crate) name: String,
    /// The description of the function in the log.
    described: String,
    limit: Duration,
    stalls: AtomicU64,
    stalled_micros: AtomicU64,
    /// The id of the request in which the function first blocked its thread.
    first_request: OnceLock<String>,
}

/// A function that has blocked its thread, for the index page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct BlockingFunction {
    function: String,
    /// The number of polls that have taken too long.
    count: u64,
    /// The total time of these polls, in seconds.
    seconds: f64,
    /// The id of the request of the first such poll.
    request_id: String,
}

/// Records the polls of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watch(u32);

impl AsyncFunctions {
    /// Returns an empty list. `limit` is how long a poll of each function may take.
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        let functions = Vec::new();
        Self { limit, functions }
    }

    /// Adds a function, and returns the watch that records its polls.
    pub(crate) fn add(&mut self, name: &FunctionName) -> Watch {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let Some(limit) = self.limit else {
            return Watch::OFF;
        };
        let function = Arc::new(AsyncFunction {
            name: name.path.clone(),
            described: name.described.clone(),
            limit,
            stalls: AtomicU64::new(0),
            stalled_micros: AtomicU64::new(0),
            first_request: OnceLock::new(),
        });
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut registered = registered();
        registered.retain(|_, function| function.strong_count() > 0);
        registered.insert(id, Arc::downgrade(&function));
        sampler::look_every(limit);
        self.functions.push(function);
        Watch(id)
    }

    /// Adds a function in the same way as [`add`](Self::add). Without a name, the agent does not
    /// have the function, and the watch records no polls.
    pub(crate) fn add_some(&mut self, name: Option<&FunctionName>) -> Watch {
        name.map_or(Watch::OFF, |name| self.add(name))
    }

    /// Returns the functions, in the order in which they were added.
    #[cfg(feature = "metrics")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &AsyncFunction> {
        self.functions.iter().map(|function| &**function)
    }

    /// Returns the functions that have blocked their threads.
    pub(crate) fn blocking(&self) -> Vec<BlockingFunction> {
        let blocking = self
            .functions
            .iter()
            .filter(|function| function.stalls() > 0);
        let stalls = blocking.map(|function| BlockingFunction {
            function: function.described.clone(),
            count: function.stalls(),
            seconds: function.stalled().as_secs_f64(),
            request_id: function.first_request.get().cloned().unwrap_or_default(),
        });
        stalls.collect()
    }
}

/// The names of an agent's functions; middleware has its own names.
#[derive(Debug, Clone)]
pub(crate) struct FunctionNames {
    pub(crate) entrypoint: FunctionName,
    pub(crate) ping: Option<FunctionName>,
    #[cfg(feature = "websocket")]
    pub(crate) websocket: Option<FunctionName>,
    pub(crate) routes: Option<FunctionName>,
}

/// The name of a function.
#[derive(Debug, Clone)]
pub(crate) struct FunctionName {
    /// The path of the function, which stays the same when lines are added to the source.
    pub(crate) path: String,
    /// The function and its location in the source.
    pub(crate) described: String,
}

impl FunctionName {
    /// Returns the name for a function of the builder, which has no path.
    pub(crate) fn of_builder(path: impl Into<String>) -> Self {
        let path = path.into();
        let described = format!("the {path} of the builder");
        Self { path, described }
    }

    /// Returns the name for background tasks, which have no path.
    pub(crate) fn of_tasks() -> Self {
        Self {
            path: "task".to_owned(),
            described: "a background task".to_owned(),
        }
    }
}

impl AsyncFunction {
    pub(crate) fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }

    /// Returns how long the function has blocked its threads.
    pub(crate) fn stalled(&self) -> Duration {
        Duration::from_micros(self.stalled_micros.load(Ordering::Relaxed))
    }

    fn add_time(&self, stalled: Duration) {
        let micros = u64::try_from(stalled.as_micros()).unwrap_or(u64::MAX);
        self.stalled_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Counts a poll that has taken too long, and logs the first one.
    fn report(&self, request_id: &str, blocked: Duration) {
        self.add_time(blocked);
        let is_first = self.first_request.set(request_id.to_owned()).is_ok();
        self.stalls.fetch_add(1, Ordering::Relaxed);
        if !is_first {
            return;
        }
        let blocked_ms = u64::try_from(blocked.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(
            target: LOG_TARGET,
            request_id,
            function = self.name,
            blocked_ms,
            "{} blocks the thread that runs it, so that other requests and `/ping` wait; make it \
             a plain `fn`, or move the blocking call into `tokio::task::spawn_blocking` (logged \
             once for each function; PPIO_AGENT_BLOCKING_WARNING sets the limit, 0 for none)",
            self.described
        );
    }
}

/// The target of the log line about a function that blocks.
const LOG_TARGET: &str = "ppio::blocking";

impl Watch {
    /// A watch that records no polls.
    pub(crate) const OFF: Self = Self(0);

    /// Polls a function. Meanwhile, the slot of the thread holds the function and the request.
    #[inline]
    pub(crate) fn poll<R>(self, request_id: &[u8], poll: impl FnOnce() -> R) -> R {
        if self == Self::OFF {
            return poll();
        }
        // A thread that is ending has no slot any more.
        let polled = THREAD.try_with(|slot| slot.enter(self.0, request_id));
        let _left_at_the_end = polled.ok();
        poll()
    }
}

impl Watch {
    /// Runs a function, and records each of its polls.
    pub(crate) async fn run<F: Future>(self, request_id: &[u8], function: F) -> F::Output {
        let mut function = pin!(function);
        poll_fn(|cx| self.poll(request_id, || function.as_mut().poll(cx))).await
    }
}

/// Stops watching the current polls of the thread, after a panic: the time that a backtrace takes
/// is not attributed to the function.
#[cfg(feature = "logging")]
pub(crate) fn end_at_panic() {
    let _ = THREAD.try_with(thread_slot::ThreadSlot::leave);
}

/// Returns the functions of all agents by the numbers in the slots.
fn registered() -> MutexGuard<'static, BTreeMap<u32, Weak<AsyncFunction>>> {
    static REGISTERED: Mutex<BTreeMap<u32, Weak<AsyncFunction>>> = Mutex::new(BTreeMap::new());
    REGISTERED.lock().unwrap_or_else(PoisonError::into_inner)
}
