//! Checks that the log and the metrics name functions that block an async worker.

use ppio_test_support::{AgentProcess, call, eventually, metric};
use serde_json::{Value, json};

use super::socket::Socket;
use super::{metered, scrape};

/// The time for which the calls block, in milliseconds.
const BLOCKED_MS: u64 = 400;

/// Returns the log lines about functions that block.
fn warnings(agent: &AgentProcess) -> Vec<Value> {
    let lines = agent.stderr();
    let lines = lines
        .lines()
        .filter(|line| line.contains("blocks the thread"));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn eventually_warned(agent: &AgentProcess, function: &str, request_id: &str) {
    let described = format!("`{function}` at tests/agents/metered.rs:");
    eventually(&format!("a line about {function}"), || {
        warnings(agent).iter().any(|line| {
            line["message"].as_str().unwrap().starts_with(&described)
                && line["function"] == format!("metered_agent::{function}")
                && line["request_id"] == request_id
                && line["blocked_ms"].as_u64() >= Some(100)
        })
    })
    .await;
}

async fn block(agent: &AgentProcess, what: &str, headers: &[(&str, &str)]) {
    let order = json!({ "do": what, "ms": BLOCKED_MS });
    let answer = call::invoke_with(agent, headers, &order).await;
    assert_eq!(answer.status(), 200);
    answer.text().await;
}

fn stalls(page: &str, function: &str) -> u64 {
    let name = format!("executor_stalls_total{{function=\"metered_agent::{function}\"}}");
    metric(page, &name)
}

#[tokio::test]
async fn each_function_that_blocks_a_worker_is_named_once() {
    let agent = metered()
        .env("PPIO_AGENT_WORKER_THREADS", "2")
        .env("PPIO_AGENT_DEBUG", "true")
        .start();
    let mut socket = Socket::open(&agent, "r-2").await.unwrap();
    socket.text("hi").await;
    assert_eq!(socket.receive().await.1, b"hi");
    // Both workers are blocked at the same time.
    let first = [("x-request-id", "r-1")];
    tokio::join!(block(&agent, "block", &first), async {
        socket.text("block").await;
        socket.receive().await;
    });
    eventually_warned(&agent, "agent", "r-1").await;
    eventually_warned(&agent, "chat", "r-2").await;
    // Middleware that blocks in the same poll, after the handler has returned.
    block(
        &agent,
        "value",
        &[("x-block", "1"), ("x-request-id", "r-3")],
    )
    .await;
    eventually_warned(&agent, "gate", "r-3").await;
    // A function that blocks in a later poll, and one in a kept run.
    block(&agent, "block_later", &[]).await;
    let key = [("idempotency-key", "k-1")];
    block(&agent, "block", &key).await;
    let page = scrape(&agent).await;
    assert_eq!(stalls(&page, "agent"), 3, "{page}");
    assert_eq!(stalls(&page, "chat"), 1, "{page}");
    assert_eq!(stalls(&page, "gate"), 1, "{page}");
    assert_eq!(metric(&page, "executor_stalls_total"), 5, "{page}");
    assert_eq!(warnings(&agent).len(), 3, "{}", agent.stderr());
    let index = call::get(&agent, "/").await.json().await;
    let blocking = index["blocking"].as_array().unwrap();
    assert_eq!(blocking.len(), 3, "{index}");
    let entrypoint = &blocking[0];
    assert!(
        entrypoint["function"]
            .as_str()
            .unwrap()
            .starts_with("`agent` at ")
    );
    assert_eq!(entrypoint["count"], 3);
    assert_eq!(entrypoint["request_id"], "r-1");
    assert!(entrypoint["seconds"].as_f64() > Some(0.3), "{index}");
}

#[tokio::test]
async fn a_function_that_never_returns_is_named_while_it_blocks() {
    let agent = metered().env("PPIO_AGENT_WORKER_THREADS", "1").start();
    let order = json!({ "do": "block", "ms": 600_000 }).to_string();
    let headers = [
        ("x-request-id", "r-1"),
        ("content-type", "application/json"),
    ];
    let call = call::send(&agent, "POST", "/invocations", &headers, order);
    tokio::select! {
        _ = call => panic!("the call returned"),
        () = eventually_warned(&agent, "agent", "r-1") => {}
    }
}

#[tokio::test]
async fn the_backtrace_of_a_panic_is_not_a_stall() {
    let agent = metered()
        .env("RUST_BACKTRACE", "full")
        .env("PPIO_AGENT_BLOCKING_WARNING", "0.02")
        .start();
    let answer = call::invoke(&agent, &json!({ "do": "panic" })).await;
    assert_eq!(answer.status(), 500);
    eventually("a backtrace", || agent.stderr().contains("backtrace")).await;
    // The counter of stalls is increased when the log line about a stall is written.
    let page = scrape(&agent).await;
    assert_eq!(metric(&page, "executor_stalls_total"), 0, "{page}");
    assert!(warnings(&agent).is_empty(), "{}", agent.stderr());
}
