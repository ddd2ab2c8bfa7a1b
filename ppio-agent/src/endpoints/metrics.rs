//! What `GET /metrics` shows, in the Prometheus text format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Upper bounds of the duration histogram, in seconds. Agents take from milliseconds to minutes.
const BOUNDS: [f64; 10] = [0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0, 300.0];
/// More threads than this share counters, which costs time and loses nothing.
const SHARDS: usize = 16;

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Success,
    ClientError,
    ServerError,
    /// The client went away before the end.
    Cancelled,
}

const ENDS: [(End, &str); 4] = [
    (End::Success, "success"),
    (End::ClientError, "client_error"),
    (End::ServerError, "server_error"),
    (End::Cancelled, "cancelled"),
];

/// The counters of one app: for each thread its own, since a counter that two cores write travels
/// between them at every request.
#[derive(Debug)]
pub(crate) struct Metrics {
    shards: Box<[Shard; SHARDS]>,
    started: Instant,
}

/// Aligned so that no two share a cache line, nor the pair of lines that is fetched together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    begun: AtomicU64,
    ends: [AtomicU64; ENDS.len()],
    buckets: [AtomicU64; BOUNDS.len()],
    micros: AtomicU64,
    items: AtomicU64,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            shards: Box::default(),
            started: Instant::now(),
        }
    }

    fn shard(&self) -> &Shard {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static SHARD: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
        }
        // A thread that ends takes the first.
        &self.shards[SHARD.try_with(|shard| *shard).unwrap_or_default()]
    }

    fn sum(&self, counter: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        let counts = self
            .shards
            .iter()
            .map(|shard| counter(shard).load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }

    pub(crate) fn began(&self) {
        self.shard().begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self, end: End, duration: Duration, items: u64) {
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

    /// Invocations at work, streams included.
    pub(crate) fn running(&self) -> u64 {
        // The ends first: what begins in between must not make it negative.
        let ended: u64 = (0..ENDS.len())
            .map(|end| self.sum(|shard| &shard.ends[end]))
            .sum();
        self.sum(|shard| &shard.begun).saturating_sub(ended)
    }

    /// The whole page. Background `tasks` are counted elsewhere.
    pub(crate) fn render(&self, tasks: usize) -> String {
        let running = self.running();
        let mut page = Page(String::with_capacity(2048));
        page.head(
            "ppio_agent_invocations_total",
            "counter",
            "Finished invocations by how they ended.",
        );
        let mut total = 0;
        for (end, label) in ENDS {
            let count = self.sum(|shard| &shard.ends[end as usize]);
            total += count;
            page.line(format_args!(
                "ppio_agent_invocations_total{{end=\"{label}\"}} {count}"
            ));
        }
        page.head(
            "ppio_agent_invocation_duration_seconds",
            "histogram",
            "Time from the request to the end of its answer.",
        );
        let mut cumulated = 0;
        for (index, bound) in BOUNDS.iter().enumerate() {
            cumulated += self.sum(|shard| &shard.buckets[index]);
            page.line(format_args!(
                "ppio_agent_invocation_duration_seconds_bucket{{le=\"{bound}\"}} {cumulated}"
            ));
        }
        let seconds = Duration::from_micros(self.sum(|shard| &shard.micros)).as_secs_f64();
        page.line(format_args!(
            "ppio_agent_invocation_duration_seconds_bucket{{le=\"+Inf\"}} {total}\n\
             ppio_agent_invocation_duration_seconds_sum {seconds}\n\
             ppio_agent_invocation_duration_seconds_count {total}"
        ));
        let items = self.sum(|shard| &shard.items);
        let uptime = self.started.elapsed().as_secs();
        page.one(
            "ppio_agent_invocations_running",
            "gauge",
            "Invocations that run now.",
            running,
        );
        page.one(
            "ppio_agent_stream_items_total",
            "counter",
            "Items sent in event streams.",
            items,
        );
        page.one(
            "ppio_agent_background_tasks",
            "gauge",
            "Background tasks that run now.",
            tasks as u64,
        );
        page.one(
            "ppio_agent_uptime_seconds",
            "gauge",
            "Time since the start.",
            uptime,
        );
        page.0
    }
}

struct Page(String);

impl Page {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let result = writeln!(self.0, "{line}");
        debug_assert!(result.is_ok(), "writing to a String cannot fail");
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        self.line(format_args!("{name} {value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_cumulates_and_counts_what_is_over_every_bound() {
        let metrics = Metrics::new();
        for _ in 0..2 {
            metrics.began();
        }
        metrics.ended(End::Success, Duration::from_millis(10), 3);
        metrics.ended(End::ServerError, Duration::from_secs(1000), 0);
        std::thread::scope(|scope| {
            // On threads of their own, and so in counters of their own.
            for _ in 0..2 {
                scope.spawn(|| metrics.began());
            }
        });
        let page = metrics.render(1);
        for line in [
            "ppio_agent_invocations_total{end=\"success\"} 1",
            "ppio_agent_invocation_duration_seconds_bucket{le=\"0.005\"} 0",
            "ppio_agent_invocation_duration_seconds_bucket{le=\"0.025\"} 1",
            "ppio_agent_invocation_duration_seconds_bucket{le=\"300\"} 1",
            "ppio_agent_invocation_duration_seconds_bucket{le=\"+Inf\"} 2",
            "ppio_agent_invocation_duration_seconds_sum 1000.01",
            "ppio_agent_invocations_running 2",
            "ppio_agent_stream_items_total 3",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
        }
    }
}
