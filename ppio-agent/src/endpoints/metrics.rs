//! `GET /metrics`, in the Prometheus text format.

use std::fmt::Write as _;

use http::HeaderValue;
use http::header::CONTENT_TYPE;

use crate::exchange::body::{Body, Response};
use crate::invocation::counters::{Counters, Totals};
use crate::runs::registry::RunRegistry;

/// The content type of the text format.
const TEXT_FORMAT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Answers with the counters, the number of running background tasks, and what the runs hold.
/// `routes` are the counters of the author's own routes, where there are any.
pub(crate) fn answer(
    counters: &Counters,
    tasks: usize,
    runs: &RunRegistry,
    routes: Option<&Counters>,
) -> Response {
    let mut response = Response::new(Body::from(page(counters, tasks, runs.kept(), routes)));
    response.headers_mut().insert(CONTENT_TYPE, TEXT_FORMAT);
    response
}

fn page(
    counters: &Counters,
    tasks: usize,
    (runs, run_bytes): (usize, usize),
    routes: Option<&Counters>,
) -> String {
    let totals = counters.totals();
    let mut page = Page(String::with_capacity(2048));
    page.work(
        &totals,
        ["invocations", "invocation"],
        "Finished invocations by how they ended.",
        "Invocations that run now.",
    );
    page.metric(
        "ppio_agent_stream_items_total",
        "counter",
        "Items sent in event streams.",
        totals.items,
    );
    page.metric(
        "ppio_agent_background_tasks",
        "gauge",
        "Background tasks that run now.",
        tasks as u64,
    );
    page.metric(
        "ppio_agent_runs_kept",
        "gauge",
        "Invocations whose answers are kept.",
        runs as u64,
    );
    page.metric(
        "ppio_agent_runs_bytes",
        "gauge",
        "Size of the answers that are kept.",
        run_bytes as u64,
    );
    page.metric(
        "ppio_agent_uptime_seconds",
        "gauge",
        "Time since the start.",
        totals.uptime.as_secs(),
    );
    if let Some(routes) = routes {
        page.work(
            &routes.totals(),
            ["route_requests", "route_request"],
            "Finished requests of the author's own routes by how they ended.",
            "Requests of the author's own routes that run now.",
        );
    }
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let result = writeln!(self.0, "{line}");
        debug_assert!(result.is_ok(), "writing to a `String` cannot fail");
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    /// How pieces of work ended, how long they took, and how many run. `names` are the plural and the
    /// singular.
    fn work(&mut self, totals: &Totals, names: [&str; 2], ended: &str, running: &str) {
        let [plural, singular] = names;
        let name = format!("ppio_agent_{plural}_total");
        self.head(&name, "counter", ended);
        let mut finished = 0;
        for (label, count) in totals.ends {
            finished += count;
            self.line(format_args!("{name}{{end=\"{label}\"}} {count}"));
        }
        let name = format!("ppio_agent_{singular}_duration_seconds");
        self.head(
            &name,
            "histogram",
            "Time from the request to the end of its answer.",
        );
        let mut cumulative = 0;
        for (bound, count) in totals.buckets {
            cumulative += count;
            self.line(format_args!("{name}_bucket{{le=\"{bound}\"}} {cumulative}"));
        }
        let seconds = totals.duration.as_secs_f64();
        self.line(format_args!(
            "{name}_bucket{{le=\"+Inf\"}} {finished}\n\
             {name}_sum {seconds}\n\
             {name}_count {finished}"
        ));
        let name = format!("ppio_agent_{plural}_running");
        self.metric(&name, "gauge", running, totals.running);
    }

    fn metric(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        self.line(format_args!("{name} {value}"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::invocation::counters::InvocationEnd;

    #[test]
    fn buckets_are_cumulative_and_the_last_has_every_invocation() {
        let counters = Counters::new();
        for _ in 0..2 {
            counters.count_start();
        }
        counters.count_end(InvocationEnd::Success, Duration::from_millis(10), 3);
        counters.count_end(InvocationEnd::ServerError, Duration::from_secs(1000), 0);
        std::thread::scope(|scope| {
            // Other threads have other counters.
            for _ in 0..2 {
                scope.spawn(|| counters.count_start());
            }
        });
        let page = page(&counters, 1, (2, 500), Some(&Counters::new()));
        for line in [
            "ppio_agent_invocations_total{end=\"success\"} 1",
            "ppio_agent_invocation_duration_seconds_bucket{le=\"0.005\"} 0",
            "ppio_agent_invocation_duration_seconds_bucket{le=\"0.025\"} 1",
            "ppio_agent_invocation_duration_seconds_bucket{le=\"300\"} 1",
            "ppio_agent_invocation_duration_seconds_bucket{le=\"+Inf\"} 2",
            "ppio_agent_invocation_duration_seconds_sum 1000.01",
            "ppio_agent_invocations_running 2",
            "ppio_agent_stream_items_total 3",
            "ppio_agent_runs_kept 2",
            "ppio_agent_runs_bytes 500",
            "ppio_agent_route_requests_total{end=\"cancelled\"} 0",
            "ppio_agent_route_request_duration_seconds_count 0",
            "ppio_agent_route_requests_running 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
        }
    }
}
