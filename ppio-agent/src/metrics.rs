//! What `GET /metrics` shows, in the Prometheus text format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Upper bounds of the duration histogram, in seconds. Agents take from milliseconds to minutes.
const BOUNDS: [f64; 10] = [0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0, 300.0];

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

/// The counters of one app.
#[derive(Debug)]
pub(crate) struct Metrics {
    ends: [AtomicU64; ENDS.len()],
    buckets: [AtomicU64; BOUNDS.len()],
    micros: AtomicU64,
    items: AtomicU64,
    started: Instant,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            ends: Default::default(),
            buckets: Default::default(),
            micros: AtomicU64::new(0),
            items: AtomicU64::new(0),
            started: Instant::now(),
        }
    }

    pub(crate) fn ended(&self, end: End, duration: Duration, items: u64) {
        self.ends[end as usize].fetch_add(1, Ordering::Relaxed);
        let seconds = duration.as_secs_f64();
        if let Some(bucket) = BOUNDS.iter().position(|&bound| seconds <= bound) {
            self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        if items > 0 {
            self.items.fetch_add(items, Ordering::Relaxed);
        }
    }

    /// The whole page. `running` invocations and background `tasks` are counted elsewhere.
    pub(crate) fn render(&self, running: usize, tasks: usize) -> String {
        let mut page = Page(String::with_capacity(2048));
        page.head(
            "ppio_agent_invocations_total",
            "counter",
            "Finished invocations by how they ended.",
        );
        let mut total = 0;
        for (end, label) in ENDS {
            let count = self.ends[end as usize].load(Ordering::Relaxed);
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
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            cumulated += bucket.load(Ordering::Relaxed);
            page.line(format_args!(
                "ppio_agent_invocation_duration_seconds_bucket{{le=\"{bound}\"}} {cumulated}"
            ));
        }
        let seconds = Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64();
        page.line(format_args!(
            "ppio_agent_invocation_duration_seconds_bucket{{le=\"+Inf\"}} {total}\n\
             ppio_agent_invocation_duration_seconds_sum {seconds}\n\
             ppio_agent_invocation_duration_seconds_count {total}"
        ));
        let items = self.items.load(Ordering::Relaxed);
        let uptime = self.started.elapsed().as_secs();
        page.one(
            "ppio_agent_invocations_running",
            "gauge",
            "Invocations that run now.",
            running as u64,
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
        metrics.ended(End::Success, Duration::from_millis(10), 3);
        metrics.ended(End::ServerError, Duration::from_secs(1000), 0);
        let page = metrics.render(2, 1);
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
