//! Callers of every kind run concurrently, and `/metrics` must count exactly what they received.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use ppio_test_support::call::{self, Answer};
use ppio_test_support::{AgentProcess, eventually_some, metric, raw_request, samples};
use serde_json::{Value, json};

use super::page::check;
use super::socket::Socket;
use super::{metered, scrape, scrape_open_metrics};

const CALLERS: usize = 40;
/// The number of calls of each caller: a multiple of the number of kinds, so that each kind is
/// called equally often.
const CALLS: usize = 2 * KINDS.len();
/// The number of invocations that the agent runs concurrently, so that some are refused.
const MAX_CONCURRENCY: usize = 24;

const KINDS: [&str; 18] = [
    "value",
    "stream",
    "fail_later",
    "fail",
    "not_found",
    "unavailable",
    "panic",
    "sleep",
    "endless",
    "large",
    "text",
    "invalid",
    "run",
    "key",
    "socket",
    "failing socket",
    "lost",
    "foreign",
];

/// The error types that the agent's code chooses, or that occur after that code was called. All
/// other error types belong to requests that the runtime refuses.
const NOT_REFUSED: [&str; 5] = ["NoSuchCity", "Busy", "AgentError", "Panic", "Timeout"];

/// The counts of what the callers received.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// The invocations by protocol and outcome.
    outcomes: BTreeMap<(String, String), u64>,
    refused: BTreeMap<String, u64>,
    items: u64,
    messages: u64,
    /// The number of streams that had an item.
    streams: u64,
    input_tokens: u64,
    output_tokens: u64,
}

struct Load {
    agent: AgentProcess,
    seen: Mutex<Seen>,
}

impl Load {
    fn see(&self, protocol: &str, outcome: &str) {
        let key = (protocol.to_owned(), outcome.to_owned());
        let mut seen = self.seen.lock().unwrap();
        *seen.outcomes.entry(key).or_default() += 1;
    }

    fn see_error(&self, error_type: &str) {
        if !NOT_REFUSED.contains(&error_type) {
            let mut seen = self.seen.lock().unwrap();
            *seen.refused.entry(error_type.to_owned()).or_default() += 1;
        }
    }

    async fn post(&self, headers: &[(&str, &str)], body: String) -> Answer {
        let mut headers = headers.to_vec();
        if headers.iter().all(|(name, _)| *name != "content-type") {
            headers.push(("content-type", "application/json"));
        }
        call::send(&self.agent, "POST", "/invocations", &headers, body).await
    }

    /// Reads the answer of an invocation to its end.
    async fn finish(&self, answer: Answer) {
        let status = answer.status();
        let is_stream = answer.headers()["content-type"] != "application/json";
        if is_stream {
            self.finish_stream(&answer.text().await);
        } else if status.is_success() {
            self.see("invocations", "success");
        } else {
            let body = answer.json().await;
            let error_type = body["error_type"].as_str().unwrap();
            self.see_error(error_type);
            self.see(
                "invocations",
                match status.as_u16() {
                    504 if error_type == "Timeout" => "timeout",
                    500.. => "server_error",
                    _ => "client_error",
                },
            );
        }
    }

    fn finish_stream(&self, events: &str) {
        let mut items: Vec<Value> = events
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        let failed = items.pop_if(|last| !last["error_type"].is_null()).is_some();
        self.see(
            "invocations",
            if failed { "server_error" } else { "success" },
        );
        let mut seen = self.seen.lock().unwrap();
        seen.streams += 1;
        seen.items += items.len() as u64;
        for item in items {
            seen.input_tokens += item["input_tokens"].as_u64().unwrap_or_default();
            seen.output_tokens += item["output_tokens"].as_u64().unwrap_or_default();
        }
    }

    /// Disconnects after the first item, unless the call is refused.
    async fn leave(&self, mut answer: Answer) {
        if answer.status() != 200 {
            return self.finish(answer).await;
        }
        assert_eq!(answer.next_items().await.unwrap().len(), 1);
        let mut seen = self.seen.lock().unwrap();
        (seen.items, seen.streams) = (seen.items + 1, seen.streams + 1);
        drop(seen);
        self.see("invocations", "cancelled");
    }

    /// Starts a run without waiting for its answer, and then reads its events.
    async fn run(&self) {
        let headers = [("prefer", "respond-async")];
        let answer = self
            .post(&headers, json!({ "do": "stream" }).to_string())
            .await;
        if answer.status() != 202 {
            return self.finish(answer).await;
        }
        let place = answer.headers()["location"].to_str().unwrap().to_owned();
        eventually_some("the end of the run", async || {
            let state = call::get(&self.agent, &place).await.json().await;
            (state["status"] == "success").then_some(())
        })
        .await;
        let events = call::get(&self.agent, &format!("{place}/events"))
            .await
            .text()
            .await;
        let items = events
            .split("\n\n")
            .filter(|event| !event.contains("event: end"));
        let items: Vec<_> = items
            .filter_map(|event| event.split_once("data: "))
            .flat_map(|(_, data)| ["data: ", data, "\n\n"])
            .collect();
        let items = items.concat();
        self.finish_stream(&items);
    }

    /// Sends a request with the idempotency key `key`, and sends it again unless it was refused;
    /// the invocation runs once.
    async fn repeat(&self, key: &str) {
        let headers = [("idempotency-key", key)];
        let body = json!({ "do": "stream" }).to_string();
        let first = self.post(&headers, body.clone()).await;
        let refused = first.status() != 200;
        self.finish(first).await;
        if !refused {
            let again = self.post(&headers, body).await;
            assert_eq!(again.headers()["ppio-idempotency"], "replayed");
            again.text().await;
        }
    }

    async fn socket(&self, fails: bool) {
        let mut socket = match Socket::open(&self.agent, "r-1").await {
            Ok(socket) => socket,
            Err(head) => {
                assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
                self.see_error("Overloaded");
                return self.see("websocket", "server_error");
            }
        };
        if fails {
            socket.text("fail").await;
            assert_eq!(socket.closed().await, 1011);
            return self.see("websocket", "server_error");
        }
        socket.text("hi").await;
        assert_eq!(socket.receive().await.1, b"hi");
        assert_eq!(socket.close().await, 1000);
        self.seen.lock().unwrap().messages += 1;
        self.see("websocket", "success");
    }

    async fn call(&self, kind: &str, number: usize) {
        let order = |what: &str| json!({ "do": what, "ms": 60_000 }).to_string();
        match kind {
            "endless" => self.leave(self.post(&[], order(kind)).await).await,
            "sleep" => {
                let limit = [("ppio-timeout", "1")];
                self.finish(self.post(&limit, order(kind)).await).await;
            }
            "large" => self.finish(self.post(&[], "x".repeat(2000)).await).await,
            "invalid" => self.finish(self.post(&[], "{".to_owned()).await).await,
            "text" => {
                let text = [("content-type", "text/plain")];
                self.finish(self.post(&text, order("value")).await).await;
            }
            "run" => self.run().await,
            "key" => self.repeat(&format!("k-{number}")).await,
            "socket" => self.socket(false).await,
            "failing socket" => self.socket(true).await,
            "lost" => {
                let lost = call::get(&self.agent, "/nope").await;
                assert_eq!(lost.status(), 404);
                self.see_error("NotFound");
            }
            "foreign" => {
                let host = [("host", "evil.example")];
                let refused = raw_request(self.agent.addr(), "GET", "/ping", &host, b"").await;
                assert_eq!(refused.status, 421, "{}", refused.head);
                self.see_error("HostNotAllowed");
            }
            kind => self.finish(self.post(&[], order(kind)).await).await,
        }
    }

    /// Waits until no invocation is running, and returns the page `/metrics`.
    async fn idle(&self) -> String {
        eventually_some("the end of every invocation", async || {
            let page = scrape(&self.agent).await;
            (metric(&page, "invocations_running") == 0).then_some(page)
        })
        .await
    }
}

/// Returns the counts on a page of `/metrics`, in the form of the counts of the callers.
fn counted(page: &str) -> Seen {
    let label = |labels: &str, name: &str| {
        let mut labels = labels.split(',').filter_map(|label| label.split_once('='));
        let found = labels.find(|(other, _)| *other == name);
        found.unwrap().1.trim_matches('"').to_owned()
    };
    let mut seen = Seen::default();
    for (name, labels, value) in samples(page).filter(|(.., value)| *value > 0.0) {
        let count: u64 = format!("{value}").parse().unwrap_or_default();
        match name {
            "invocations_total" => {
                let key = (label(labels, "protocol"), label(labels, "outcome"));
                seen.outcomes.insert(key, count);
            }
            "rejected_requests_total" => {
                seen.refused.insert(label(labels, "reason"), count);
            }
            _ => {}
        }
    }
    seen.items = metric(page, "stream_items_total{protocol=\"invocations\"}");
    seen.messages = metric(page, "stream_items_total{protocol=\"websocket\"}");
    seen.streams = metric(page, "first_item_seconds_count");
    seen.input_tokens = metric(page, "tokens_total{type=\"input\"}");
    seen.output_tokens = metric(page, "tokens_total{type=\"output\"}");
    seen
}

#[tokio::test]
async fn the_page_counts_what_the_callers_received() {
    let agent = metered()
        .env("PPIO_AGENT_MAX_CONCURRENCY", MAX_CONCURRENCY.to_string())
        .env("PPIO_AGENT_MAX_REQUEST_SIZE", "1k")
        .env("PPIO_AGENT_ENABLE_MIDDLEWARE", "false")
        .env("PPIO_AGENT_WORKER_THREADS", "2")
        // The first backtrace reads all debug information, which occupies a thread for a long time.
        .env("RUST_BACKTRACE", "0")
        .start();
    let load = Load {
        agent,
        seen: Mutex::default(),
    };
    let is_done = AtomicBool::new(false);
    let callers = (0..CALLERS).map(async |caller| {
        for call in 0..CALLS {
            let kind = KINDS[(caller + call) % KINDS.len()];
            load.call(kind, caller * CALLS + call).await;
        }
    });
    let callers = async {
        join_all(callers).await;
        is_done.store(true, Ordering::Relaxed);
    };
    let scraper = async {
        while !is_done.load(Ordering::Relaxed) {
            let page = scrape(&load.agent).await;
            tokio::task::spawn_blocking(move || check(&page))
                .await
                .unwrap();
            let page = scrape_open_metrics(&load.agent).await;
            assert!(page.ends_with("\n# EOF\n"));
        }
    };
    tokio::join!(callers, scraper);
    load.idle().await;
    // All invocations that may run are running, so one more caller is refused.
    let endless = || load.post(&[], json!({ "do": "endless" }).to_string());
    let mut taken = join_all((0..MAX_CONCURRENCY).map(|_| endless())).await;
    for answer in &mut taken {
        assert_eq!(answer.status(), 200);
    }
    load.finish(endless().await).await;
    for answer in taken {
        load.leave(answer).await;
    }
    let page = load.idle().await;
    check(&page);
    let seen = load.seen.lock().unwrap();
    assert_eq!(*seen, counted(&page), "seen and counted\n{page}");
    for outcome in crate::OUTCOMES {
        let key = ("invocations".to_owned(), outcome.to_owned());
        assert!(seen.outcomes.contains_key(&key), "no {outcome}: {seen:?}");
    }
    for refused in [
        "Overloaded",
        "RequestTooLarge",
        "UnsupportedMediaType",
        "InvalidJson",
        "NotFound",
        "HostNotAllowed",
    ] {
        assert!(seen.refused.contains_key(refused), "no {refused}: {seen:?}");
    }
    let all: u64 = seen.outcomes.values().sum();
    assert_eq!(metric(&page, "invocation_duration_seconds_count"), all);
    assert_eq!(metric(&page, "open_websockets"), 0);
    assert!(metric(&page, "runs_kept") > 0 && metric(&page, "runs_bytes") > 0);
    // No function blocks a thread, however busy the machine is.
    assert_eq!(
        metric(&page, "executor_stalls_total"),
        0,
        "{}",
        load.agent.stderr()
    );
}
