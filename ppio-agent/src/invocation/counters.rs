//! Counts invocations for `GET /metrics` and for the shutdown.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

#[cfg(feature = "metrics")]
use super::exemplars::Exemplar;
use super::exemplars::Exemplars;
#[cfg(feature = "metrics")]
use super::histogram::Distribution;
use super::histogram::Histogram;
use crate::exchange::context::RequestContext;
use crate::exchange::protocol::Protocol;
use crate::token_usage::TokenUsage;

/// The number of threads with counters of their own; further threads share these counters.
const SHARDS: usize = 16;
/// The number of kinds of invocations: `POST /invocations` and each protocol.
const KINDS: usize = 1 + Protocol::ALL.len();

/// The result of an invocation from the point of view of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvocationEnd {
    Success,
    ClientError,
    ServerError,
    /// The answer, its next item or the whole stream took too long.
    Timeout,
    /// The client disconnected before the end, or the invocation was ended from outside.
    Cancelled,
}

const ENDS: [(InvocationEnd, &str); 5] = [
    (InvocationEnd::Success, "success"),
    (InvocationEnd::ClientError, "client_error"),
    (InvocationEnd::ServerError, "server_error"),
    (InvocationEnd::Timeout, "timeout"),
    (InvocationEnd::Cancelled, "cancelled"),
];

/// The items and tokens that an invocation has produced so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct InvocationProgress {
    /// The number of items of a stream, or of messages of a WebSocket.
    pub(crate) items: u64,
    /// The tokens that the usage events among the items report.
    pub(crate) tokens: TokenUsage,
}

impl InvocationProgress {
    /// Returns the progress of an invocation that produces no chat events.
    #[cfg(feature = "websocket")]
    pub(crate) fn of_items(items: u64) -> Self {
        Self {
            items,
            ..Self::default()
        }
    }
}

/// The counters of an agent's invocations or of its routes, in [`SHARDS`] shards for the threads.
/// The cache line of a counter that two cores write moves between the cores at every request.
#[derive(Debug)]
pub(crate) struct Counters {
    /// Each shard is created when one of its threads first counts something.
    shards: [OnceLock<Box<Shard>>; SHARDS],
    durations: [Exemplars; KINDS],
    first_items: [Exemplars; KINDS],
    #[cfg(feature = "metrics")]
    started: std::time::Instant,
}

/// The counters that some of the threads share, aligned to two cache lines, which processors fetch
/// together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    kinds: [ProtocolCounters; KINDS],
    /// The numbers of refused requests, by the error type of the response. They are behind a lock,
    /// which no other thread takes in most agents.
    rejected: Mutex<BTreeMap<&'static str, u64>>,
}

/// The counters of the invocations by one protocol.
#[derive(Debug, Default)]
struct ProtocolCounters {
    begun: AtomicU64,
    ends: [AtomicU64; ENDS.len()],
    duration: Histogram,
    first_item: Histogram,
    items: AtomicU64,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
}

fn kind(protocol: Option<Protocol>) -> usize {
    protocol.map_or(0, |protocol| 1 + protocol as usize)
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            shards: Default::default(),
            durations: Default::default(),
            first_items: Default::default(),
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
        let shard = SHARD.try_with(|shard| *shard).unwrap_or_default();
        self.shards[shard].get_or_init(Box::default)
    }

    fn all_shards(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter_map(|shard| Some(&**shard.get()?))
    }

    pub(crate) fn count_start(&self, protocol: Option<Protocol>) {
        let work = &self.shard().kinds[kind(protocol)];
        work.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_end(
        &self,
        protocol: Option<Protocol>,
        end: InvocationEnd,
        duration: Duration,
        context: &RequestContext,
    ) {
        let kind = kind(protocol);
        let work = &self.shard().kinds[kind];
        work.ends[end as usize].fetch_add(1, Ordering::Relaxed);
        let bucket = work.duration.observe(duration);
        self.durations[kind].offer(bucket, duration, context);
    }

    /// Counts the first item of a stream, which was sent `duration` after the request arrived.
    pub(crate) fn count_first_item(
        &self,
        protocol: Option<Protocol>,
        duration: Duration,
        context: &RequestContext,
    ) {
        let kind = kind(protocol);
        let bucket = self.shard().kinds[kind].first_item.observe(duration);
        self.first_items[kind].offer(bucket, duration, context);
    }

    /// Counts what an invocation has produced since `before`.
    pub(crate) fn count_progress(
        &self,
        protocol: Option<Protocol>,
        before: InvocationProgress,
        now: InvocationProgress,
    ) {
        let work = &self.shard().kinds[kind(protocol)];
        for (counter, before, now) in [
            (&work.items, before.items, now.items),
            (
                &work.input_tokens,
                before.tokens.input_tokens,
                now.tokens.input_tokens,
            ),
            (
                &work.output_tokens,
                before.tokens.output_tokens,
                now.tokens.output_tokens,
            ),
        ] {
            if now > before {
                counter.fetch_add(now - before, Ordering::Relaxed);
            }
        }
    }

    /// Counts a request that the runtime refused.
    pub(crate) fn count_rejected(&self, reason: &'static str) {
        let rejected = self.shard().rejected.lock();
        let mut rejected = rejected.unwrap_or_else(PoisonError::into_inner);
        *rejected.entry(reason).or_default() += 1;
    }

    fn sum(&self, counter: impl Fn(&Shard) -> u64) -> u64 {
        self.all_shards().map(counter).fold(0, u64::wrapping_add)
    }

    /// Returns the number of running invocations, including streams.
    pub(crate) fn running(&self) -> u64 {
        (0..KINDS).map(|kind| self.running_of(kind)).sum()
    }

    fn running_of(&self, kind: usize) -> u64 {
        // Ends are read first, so that an invocation that starts in between does not make the
        // difference negative.
        let ended = self.sum(|shard| {
            let ends = shard.kinds[kind].ends.iter();
            ends.map(|end| end.load(Ordering::Relaxed)).sum()
        });
        self.sum(|shard| shard.kinds[kind].begun.load(Ordering::Relaxed))
            .saturating_sub(ended)
    }

    /// Returns the totals of the invocations by a protocol, or by `POST /invocations`. With
    /// `with_exemplars`, invocations are recorded as exemplars from now on.
    #[cfg(feature = "metrics")]
    pub(crate) fn totals(&self, protocol: Option<Protocol>, with_exemplars: bool) -> Totals {
        let kind = kind(protocol);
        let running = self.running_of(kind);
        let (mut duration, mut first_item) = (Distribution::default(), Distribution::default());
        let mut ends = ENDS.map(|(_, label)| (label, 0));
        let mut progress = InvocationProgress::default();
        for shard in self.all_shards() {
            let work = &shard.kinds[kind];
            for ((_, total), end) in ends.iter_mut().zip(&work.ends) {
                *total += end.load(Ordering::Relaxed);
            }
            duration.add(&work.duration);
            first_item.add(&work.first_item);
            progress.items += work.items.load(Ordering::Relaxed);
            progress.tokens.input_tokens += work.input_tokens.load(Ordering::Relaxed);
            progress.tokens.output_tokens += work.output_tokens.load(Ordering::Relaxed);
        }
        let exemplars = |exemplars: &Exemplars| {
            if with_exemplars {
                exemplars.latest()
            } else {
                BTreeMap::new()
            }
        };
        Totals {
            running,
            ends,
            duration,
            durations: exemplars(&self.durations[kind]),
            first_item,
            first_items: exemplars(&self.first_items[kind]),
            progress,
        }
    }

    /// Returns the number of refused requests, by the error type of the response.
    #[cfg(feature = "metrics")]
    pub(crate) fn rejected(&self) -> BTreeMap<&'static str, u64> {
        let mut total = BTreeMap::new();
        for shard in self.all_shards() {
            let rejected = shard.rejected.lock();
            for (&reason, count) in rejected.unwrap_or_else(PoisonError::into_inner).iter() {
                *total.entry(reason).or_default() += count;
            }
        }
        total
    }

    /// Returns how long the agent has existed.
    #[cfg(feature = "metrics")]
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The totals since the start of the agent, and the number of running invocations.
#[cfg(feature = "metrics")]
pub(crate) struct Totals {
    pub(crate) running: u64,
    /// The number of invocations that ended in each way, with the label of that way.
    pub(crate) ends: [(&'static str, u64); ENDS.len()],
    pub(crate) duration: Distribution,
    /// The exemplars of the buckets of `duration`.
    pub(crate) durations: BTreeMap<usize, Exemplar>,
    pub(crate) first_item: Distribution,
    /// The exemplars of the buckets of `first_item`.
    pub(crate) first_items: BTreeMap<usize, Exemplar>,
    pub(crate) progress: InvocationProgress,
}
