//! Tests of invocations of a session while an earlier invocation of the session runs.

use std::time::Duration;

use ppio::{RuntimeConfig, SessionConcurrency, Value, json};

use super::support::{Scripted, Started, streaming};
use crate::support::{Connection, config, invocation_with, with_timeout};

const SESSION: &str = "x-amzn-bedrock-agentcore-runtime-session-id: s\r\n";

async fn agent(concurrency: SessionConcurrency, config: RuntimeConfig) -> Scripted {
    Scripted::start(config.session_concurrency(concurrency)).await
}

/// Sends an invocation whose body is its name.
async fn call(agent: &Scripted, headers: &str, name: u32) -> Connection {
    let mut caller = agent.server.connect().await;
    caller
        .write(invocation_with(headers, &name.to_string()))
        .await;
    caller
}

/// Waits until this many invocations are running or waiting.
async fn running(agent: &Scripted, count: u64) {
    with_timeout("running invocations", async {
        while agent.server.metric("invocations_running").await != count {}
    })
    .await;
}

async fn started(agent: &Scripted, name: u32) -> Started {
    let started = agent.started().await;
    assert_eq!(started.request, name);
    started
}

#[tokio::test]
async fn by_default_invocations_of_a_session_run_concurrently() {
    let agent = agent(SessionConcurrency::Parallel, config()).await;
    let mut first = call(&agent, SESSION, 1).await;
    let one = started(&agent, 1).await;
    let mut second = call(&agent, SESSION, 2).await;
    started(&agent, 2).await.item("two");
    assert_eq!(second.answer().await.json(), "two");
    one.item("one");
    assert_eq!(first.answer().await.json(), "one");
}

/// The caller of a refused invocation may send it again with the same idempotency key, even after
/// the agent has restarted.
#[tokio::test]
async fn a_refused_invocation_leaves_no_file_in_the_journal() {
    let journal = tempfile::tempdir().expect("a directory");
    let queue = config().session_queue(1).journal(journal.path());
    let agent = agent(SessionConcurrency::Queue, queue).await;
    let mut first = call(&agent, SESSION, 1).await;
    let one = started(&agent, 1).await;
    let mut second = call(&agent, SESSION, 2).await;
    running(&agent, 2).await;
    for number in 3..200 {
        let key = format!("{SESSION}idempotency-key: k\r\n");
        let full = call(&agent, &key, number).await.answer().await;
        full.error(503, "SessionQueueFull");
        assert_eq!(full.header("retry-after"), Some("1"));
        // The files are gone by the time the caller has the answer.
        let files = std::fs::read_dir(journal.path()).expect("a directory");
        let names = files.map(|file| file.expect("a file").file_name());
        let runs: Vec<_> = names
            .filter(|name| name.to_string_lossy().ends_with(".run"))
            .collect();
        assert!(runs.is_empty(), "{number}: {runs:?}");
    }
    one.item("one");
    assert_eq!(first.answer().await.json(), "one");
    started(&agent, 2).await.item("two");
    assert_eq!(second.answer().await.json(), "two");
}

#[tokio::test]
async fn queued_invocations_run_in_order() {
    let agent = agent(SessionConcurrency::Queue, config().session_queue(2)).await;
    let mut first = call(&agent, SESSION, 1).await;
    let one = started(&agent, 1).await;
    let mut second = call(&agent, SESSION, 2).await;
    running(&agent, 2).await;
    // A kept run waits in the same queue.
    let mut third = call(&agent, &format!("{SESSION}idempotency-key: k\r\n"), 3).await;
    running(&agent, 3).await;
    let mut fourth = call(&agent, SESSION, 4).await;
    let full = fourth.answer().await;
    full.error(503, "SessionQueueFull");
    assert_eq!(full.header("retry-after"), Some("1"));
    // Other sessions and calls without a session do not wait.
    for (headers, name) in [(SESSION.replace(": s", ": t"), 5), (String::new(), 6)] {
        let mut other = call(&agent, &headers, name).await;
        started(&agent, name).await.item(name);
        assert_eq!(other.answer().await.status, 200);
    }
    // The session may be in the body, so the body is read first.
    let mut body = agent.server.connect().await;
    body.write(invocation_with("", r#"{"sandbox_id": "s", "n": 7}"#))
        .await;
    body.answer().await.error(503, "SessionQueueFull");
    one.item("one");
    assert_eq!(first.answer().await.json(), "one");
    started(&agent, 2).await.item("two");
    assert_eq!(second.answer().await.json(), "two");
    started(&agent, 3).await.item("three");
    assert_eq!(third.answer().await.json(), "three");
}

#[tokio::test]
async fn a_stream_blocks_the_queue_and_disconnected_callers_are_removed() {
    let agent = agent(SessionConcurrency::Queue, config()).await;
    let mut stream = agent.server.connect().await;
    stream.write(streaming(SESSION)).await;
    let one = agent.started().await;
    one.item(1);
    assert_eq!(stream.head().await.status, 200);
    let leaving = call(&agent, SESSION, 2).await;
    running(&agent, 2).await;
    let mut third = call(&agent, SESSION, 3).await;
    running(&agent, 3).await;
    drop(leaving);
    running(&agent, 2).await;
    drop(stream);
    one.wait_dropped().await;
    started(&agent, 3).await.item(3);
    assert_eq!(third.answer().await.json(), 3);
}

#[tokio::test]
async fn the_time_in_the_queue_counts_towards_the_timeout() {
    let timeout = Duration::from_millis(200);
    let agent = agent(SessionConcurrency::Queue, config().timeout(timeout)).await;
    let mut stream = agent.server.connect().await;
    stream.write(streaming(SESSION)).await;
    let one = agent.started().await;
    for headers in [
        SESSION.to_owned(),
        format!("{SESSION}idempotency-key: k\r\n"),
    ] {
        let mut late = call(&agent, &headers, 2).await;
        // Without further items, the first stream would time out as well.
        let keep_alive = async {
            loop {
                one.item(0);
                tokio::task::yield_now().await;
            }
        };
        let answer = tokio::select! {
            answer = late.answer() => answer,
            () = keep_alive => unreachable!("`keep_alive` does not end"),
        };
        answer.error(504, "Timeout");
    }
    assert_eq!(agent.calls(), 1);
}

#[tokio::test]
async fn a_busy_session_rejects_a_second_invocation() {
    let agent = agent(SessionConcurrency::Reject, config()).await;
    let mut first = call(&agent, SESSION, 1).await;
    let one = started(&agent, 1).await;
    for headers in [
        SESSION.to_owned(),
        format!("{SESSION}idempotency-key: k\r\n"),
    ] {
        let mut second = call(&agent, &headers, 2).await;
        second.answer().await.error(409, "SessionBusy");
    }
    one.item(1);
    assert_eq!(first.answer().await.json(), 1);
    // The refused request did not reserve the idempotency key.
    let mut again = call(&agent, &format!("{SESSION}idempotency-key: k\r\n"), 2).await;
    started(&agent, 2).await.item(2);
    assert_eq!(again.answer().await.json(), 2);
}

#[tokio::test]
async fn a_later_invocation_interrupts_the_first() {
    let agent = agent(SessionConcurrency::Interrupt, config()).await;
    // A value, a stream, and both as kept runs.
    for (stream, headers) in [
        (false, SESSION.to_owned()),
        (true, SESSION.to_owned()),
        (
            false,
            format!("{SESSION}ppio-on-disconnect: continue\r\nx-request-id: v\r\n"),
        ),
        (
            true,
            format!("{SESSION}ppio-on-disconnect: continue\r\nx-request-id: s\r\n"),
        ),
    ] {
        let mut first = agent.server.connect().await;
        let body = json!({ "stream": stream }).to_string();
        first.write(invocation_with(&headers, &body)).await;
        let one = agent.started().await;
        if stream {
            one.item(1);
            assert_eq!(first.head().await.status, 200);
            assert_eq!(first.events().await, Some(vec![json!(1)]));
        }
        let mut second = call(&agent, SESSION, 2).await;
        let two = started(&agent, 2).await;
        if stream {
            let last = first.events().await.expect("an event");
            assert_eq!(last[0]["error_type"], "Interrupted");
            assert_eq!(first.events().await, None);
        } else {
            first.answer().await.error(409, "Interrupted");
        }
        one.wait_dropped().await;
        two.item(2);
        assert_eq!(second.answer().await.json(), 2);
    }
    let state = |id: &'static str| {
        let request = super::support::request("GET", &format!("/invocations/{id}"), SESSION);
        agent.server.send(request)
    };
    for id in ["v", "s"] {
        let state: Value = state(id).await.json();
        assert_eq!(state["status"], "cancelled");
        assert_eq!(state["response"]["error_type"], "Interrupted");
    }
    agent.server.idle().await;
    let cancelled = "invocations_total{outcome=\"cancelled\"}";
    assert_eq!(agent.server.metric(cancelled).await, 4);
}
