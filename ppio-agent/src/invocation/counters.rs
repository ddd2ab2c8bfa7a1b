//! Counts invocations for `GET /metrics` and for the shutdown.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Upper bounds of the duration histogram, in seconds. Invocations take from milliseconds to
/// minutes.
const BOUNDS: [f64; 10] = [0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0, 300.0];
/// How many threads have counters of their own; further threads share them.
const SHARDS: usize = 16;

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvocationEnd {
    Success,
    ClientError,
    ServerError,
    /// The client disconnected before the end.
    Cancelled,
}

const ENDS: [(InvocationEnd, &str); 4] = [
    (InvocationEnd::Success, "success"),
    (InvocationEnd::ClientError, "client_error"),
    (InvocationEnd::ServerError, "server_error"),
    (InvocationEnd::Cancelled, "cancelled"),
];

/// The counters of one agent, separate for each thread: the cache line of a counter that two cores
/// write moves between them at every request.
#[derive(Debug)]
pub(crate) struct Counters {
    shards: Box<[Shard; SHARDS]>,
    #[cfg(feature = "metrics")]
    started: std::time::Instant,
}

/// Aligned to two cache lines, which processors fetch together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    begun: AtomicU64,
    ends: [AtomicU64; ENDS.len()],
    buckets: [AtomicU64; BOUNDS.len()],
    micros: AtomicU64,
    items: AtomicU64,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            shards: Box::default(),
            #[cfg(feature = "metrics")]
            started: std::time::Instant::now(),
        }
    }

    fn shard(&self) -> &Shard {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static SHARD: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
        }
        // A thread that is ending has no thread-local values any more.
        &self.shards[SHARD.try_with(|shard| *shard).unwrap_or_default()]
    }

    fn sum(&self, counter: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        let counts = self
            .shards
            .iter()
            .map(|shard| counter(shard).load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }

    pub(crate) fn count_start(&self) {
        self.shard().begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_end(&self, end: InvocationEnd, duration: Duration, items: u64) {
        let shard = self.shard();
        shard.ends[end as usize].fetch_add(1, Ordering::Relaxed);
        let seconds = duration.as_secs_f64();
        if let Some(bucket) = BOUNDS.iter().position(|&bound| seconds <= bound) {
            shard.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        shard.micros.fetch_add(micros, Ordering::Relaxed);
        if items > 0 {
            shard.items.fetch_add(items, Ordering::Relaxed);
        }
    }

    /// Running invocations, streams included.
    pub(crate) fn running(&self) -> u64 {
        // Ends are read first, so that an invocation that starts meanwhile does not make this
        // negative.
        let ended: u64 = (0..ENDS.len())
            .map(|end| self.sum(|shard| &shard.ends[end]))
            .sum();
        self.sum(|shard| &shard.begun).saturating_sub(ended)
    }

    /// The sums over all threads.
    #[cfg(feature = "metrics")]
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            running: self.running(),
            ends: ENDS.map(|(end, label)| (label, self.sum(|shard| &shard.ends[end as usize]))),
            buckets: std::array::from_fn(|index| {
                (BOUNDS[index], self.sum(|shard| &shard.buckets[index]))
            }),
            duration: Duration::from_micros(self.sum(|shard| &shard.micros)),
            items: self.sum(|shard| &shard.items),
            uptime: self.started.elapsed(),
        }
    }
}

/// What was counted since the start of the agent.
#[cfg(feature = "metrics")]
pub(crate) struct Totals {
    pub(crate) running: u64,
    /// How many invocations ended in each way, by its label.
    pub(crate) ends: [(&'static str, u64); ENDS.len()],
    /// How many invocations took at most this many seconds, and longer than the bound before.
    pub(crate) buckets: [(f64, u64); BOUNDS.len()],
    /// The durations of all invocations together.
    pub(crate) duration: Duration,
    pub(crate) items: u64,
    pub(crate) uptime: Duration,
}
