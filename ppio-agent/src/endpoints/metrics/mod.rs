//! `GET /metrics`, in the text formats of Prometheus and of `OpenMetrics`.

mod format;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderMap;
use http::header::{CONTENT_TYPE, VARY};

use self::format::{Format, MetricsText, Sample};
use crate::exchange::body::{Body, Response};
use crate::exchange::protocol::Protocol;
use crate::invocation::Invoker;
use crate::invocation::counters::{Counters, Totals};
use crate::runs::registry::RunRegistry;
use crate::stalls::AsyncFunctions;

/// The value of the label `protocol` for `POST /invocations`.
const INVOCATIONS: &str = "invocations";

/// The parts of the agent whose metrics `GET /metrics` returns.
pub(crate) struct Measured<'a> {
    pub(crate) invoker: &'a Invoker,
    pub(crate) runs: &'a RunRegistry,
    pub(crate) functions: &'a AsyncFunctions,
    /// The number of open connections, if the agent accepts them itself.
    pub(crate) connections: Option<&'a AtomicUsize>,
    /// Whether a function serves WebSockets.
    pub(crate) has_websocket: bool,
    /// The counters of the author's own routes, if there are any.
    pub(crate) routes: Option<&'a Counters>,
}

/// Returns the response with the metrics, in the format that the scraper prefers.
pub(crate) fn answer(measured: &Measured<'_>, headers: &HeaderMap) -> Response {
    let format = Format::accepted(headers);
    let mut response = Response::new(Body::from(measured.page(format)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, format.content_type());
    headers.insert(VARY, http::HeaderValue::from_static("accept"));
    response
}

impl Measured<'_> {
    fn page(&self, format: Format) -> String {
        let mut page = MetricsText::new(format);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        page.info(
            "ppio_agent_build_info",
            "The version of the runtime.",
            &version,
        );
        self.write_invocations(&mut page, format);
        let rejected = self.invoker.counters().rejected();
        page.counter(
            "ppio_agent_rejected_requests_total",
            "Requests that the runtime refused, by the error type of the response.",
            rejected.into_iter().map(labelled("reason")),
        );
        self.write_resources(&mut page);
        #[cfg(feature = "otel")]
        if let Some(dropped) = crate::telemetry::dropped_spans() {
            page.counter(
                "ppio_agent_dropped_spans_total",
                "Spans that were not exported because their queue was full.",
                [(Vec::new(), dropped)],
            );
        }
        if let Some(routes) = self.routes {
            let totals = routes.totals(None, format == Format::OpenMetrics);
            page.counter(
                "ppio_agent_route_requests_total",
                "Finished requests of the author's own routes by how they ended.",
                totals.ends.into_iter().map(labelled("outcome")),
            );
            let name = "ppio_agent_route_request_duration_seconds";
            page.histogram(name, "Time from a request to the end of its answer.");
            page.distribution(name, &[], &totals.duration, &totals.durations);
            page.gauge(
                "ppio_agent_route_requests_running",
                "Requests of the author's own routes that run now.",
                totals.running,
            );
        }
        page.finish()
    }

    /// Writes the metrics of invocations by protocol.
    fn write_invocations(&self, page: &mut MetricsText, format: Format) {
        let counters = self.invoker.counters();
        let protocols = self.invoker.settings().protocols.iter();
        let served = protocols
            .filter(|&&protocol| protocol != Protocol::WebSocket || self.has_websocket)
            .map(|&protocol| (protocol.as_str(), Some(protocol)));
        let all: Vec<(&str, Totals)> = std::iter::once((INVOCATIONS, None))
            .chain(served)
            .map(|(name, protocol)| {
                let totals = counters.totals(protocol, format == Format::OpenMetrics);
                (name, totals)
            })
            .collect();
        page.counter(
            "ppio_agent_invocations_total",
            "Finished invocations by how they ended for their caller.",
            all.iter().flat_map(|(protocol, totals)| {
                let ends = totals.ends.iter();
                ends.map(|&(end, count)| (vec![("protocol", *protocol), ("outcome", end)], count))
            }),
        );
        let name = "ppio_agent_invocation_duration_seconds";
        page.histogram(name, "Time from the request to the end of its answer.");
        for (protocol, totals) in &all {
            let labels = [("protocol", *protocol)];
            page.distribution(name, &labels, &totals.duration, &totals.durations);
        }
        let name = "ppio_agent_first_item_seconds";
        page.histogram(
            name,
            "Time from the request to the first item, of streams that sent one.",
        );
        for (protocol, totals) in &all {
            let labels = [("protocol", *protocol)];
            page.distribution(name, &labels, &totals.first_item, &totals.first_items);
        }
        page.gauge(
            "ppio_agent_invocations_running",
            "Invocations that run now.",
            counters.running(),
        );
        page.counter(
            "ppio_agent_stream_items_total",
            "Items sent in event streams, and messages sent by WebSocket.",
            all.iter()
                .map(|(protocol, totals)| (vec![("protocol", *protocol)], totals.progress.items)),
        );
        page.counter(
            "ppio_agent_tokens_total",
            "Tokens that the usage events of streams report.",
            all.iter().flat_map(|(protocol, totals)| {
                let progress = totals.progress;
                [
                    ("input", progress.tokens.input_tokens),
                    ("output", progress.tokens.output_tokens),
                ]
                .map(|(kind, tokens)| (vec![("protocol", *protocol), ("type", kind)], tokens))
            }),
        );
        let websocket = all
            .iter()
            .find(|(protocol, _)| *protocol == Protocol::WebSocket.as_str());
        if let Some((_, totals)) = websocket {
            page.gauge(
                "ppio_agent_open_websockets",
                "WebSockets that are open now.",
                totals.running,
            );
        }
    }

    /// Writes the metrics of the agent's resources: connections, tasks, kept answers, threads,
    /// stalls of async functions, and the uptime.
    fn write_resources(&self, page: &mut MetricsText) {
        if let Some(connections) = self.connections {
            page.gauge(
                "ppio_agent_open_connections",
                "Connections that are open now.",
                connections.load(Ordering::Relaxed),
            );
        }
        page.gauge(
            "ppio_agent_background_tasks",
            "Background tasks that run now.",
            self.invoker.tasks().running(),
        );
        let (runs, bytes) = self.runs.kept();
        page.gauge(
            "ppio_agent_runs_kept",
            "Invocations whose answers are kept.",
            runs,
        );
        page.gauge(
            "ppio_agent_runs_bytes",
            "Size of the answers that are kept.",
            bytes,
        );
        let pool = self.invoker.blocking_pool().in_use();
        page.gauge(
            "ppio_agent_blocking_threads",
            "Threads that synchronous functions may occupy.",
            pool.threads,
        );
        page.gauge(
            "ppio_agent_blocking_threads_in_use",
            "Threads that synchronous functions occupy now.",
            pool.in_use,
        );
        page.gauge(
            "ppio_agent_blocking_waiting",
            "Invocations that wait for a thread for synchronous functions.",
            pool.waiting,
        );
        let (mut stalls, mut stalled) = (BTreeMap::new(), BTreeMap::new());
        for function in self.functions.iter() {
            // Functions of the same name are one series.
            *stalls.entry(function.name.as_str()).or_insert(0) += function.stalls();
            *stalled.entry(function.name.as_str()).or_insert(0.0) +=
                function.stalled().as_secs_f64();
        }
        page.counter(
            "ppio_agent_executor_stalls_total",
            "Polls of async functions that kept their thread for longer than the limit.",
            stalls.into_iter().map(labelled("function")),
        );
        page.counter(
            "ppio_agent_executor_stall_seconds_total",
            "Total time of the polls that kept their thread for longer than the limit.",
            stalled.into_iter().map(labelled("function")),
        );
        page.gauge(
            "ppio_agent_uptime_seconds",
            "Time since the start.",
            self.invoker.counters().uptime().as_secs_f64(),
        );
    }
}

/// Returns a function that creates a sample with one label.
fn labelled<'a, V>(name: &'a str) -> impl Fn((&'a str, V)) -> Sample<'a, V> {
    move |(label, value)| (vec![(name, label)], value)
}
