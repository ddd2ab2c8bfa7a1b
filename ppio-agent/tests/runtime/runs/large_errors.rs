//! Errors with long texts count towards the limits, and their runs are still kept in the journal.

use std::path::Path;

use ppio::{AgentRuntimeApp, ByteSize, Error, RuntimeConfig, Value, json};

use crate::support::{TestServer, config, get, invocation_with, with_timeout};

const KEY: &str = "idempotency-key: k\r\nx-request-id: first\r\n";

/// An agent that repeats a text and returns it as a value, or fails with it as the message, type or
/// source of the error.
async fn failing(config: RuntimeConfig) -> TestServer {
    let app = AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(|request: Value| async move {
            let count = usize::try_from(request["count"].as_u64().unwrap_or_default());
            let text = request["text"].as_str().unwrap_or_default();
            let long = text.repeat(count.unwrap_or_default());
            match request["as"].as_str() {
                Some("value") => Ok(long),
                Some("type") => Err(Error::internal("short").with_type(long)),
                Some("source") => Err(Error::internal("short").with_source(long)),
                _ => Err(Error::internal(long)),
            }
        })
        .build();
    TestServer::start(app).await
}

fn request(part: &str, text: &str, count: usize) -> String {
    json!({"as": part, "text": text, "count": count}).to_string()
}

async fn stop(mut server: TestServer) {
    server.begin_shutdown();
    server.ended().await;
}

#[tokio::test]
async fn a_long_error_is_sent_whole_and_kept_truncated() {
    let limit = 10_000;
    let server = failing(config().max_run_size(ByteSize::new(limit))).await;
    for (number, part) in ["message", "type"].into_iter().enumerate() {
        let headers = format!("idempotency-key: k{number}\r\nx-request-id: {number}\r\n");
        let body = request(part, "\u{e9}", 50_000);
        let answer = server.send(invocation_with(&headers, &body)).await;
        assert_eq!(answer.status, 500);
        assert!(
            answer.body.len() > 100_000,
            "the caller gets the whole error"
        );
        let path = format!("/invocations/{number}");
        with_timeout("the cut", async {
            while server.send(get(&path)).await.body.len() as u64 > limit + 1000 {}
        })
        .await;
        let state = server.send(get(&path)).await.json();
        assert_eq!(state["status"], "error");
        let again = server.send(invocation_with(&headers, &body)).await;
        assert_eq!(again.header("ppio-idempotency"), Some("replayed"));
        assert_eq!(again.status, 500);
        let text = again.json()["error"].as_str().map(str::len);
        assert!(text.is_some_and(|length| length > 0), "{text:?}");
        let kept = server.metric("runs_bytes").await;
        assert!((1..=2 * limit).contains(&kept), "{kept} bytes");
    }
}

#[tokio::test]
async fn errors_count_towards_the_total_size_of_all_runs() {
    let total = 1 << 20;
    let server = failing(config().max_total_run_size(ByteSize::new(total))).await;
    for number in 0..40 {
        let headers = format!("idempotency-key: k{number}\r\n");
        let body = request("message", "x", 100_000);
        let answer = server.send(invocation_with(&headers, &body)).await;
        assert_eq!(answer.status, 500);
    }
    with_timeout("the bound", async {
        while server.metric("runs_bytes").await > total {}
    })
    .await;
    let kept = server.metric("runs_kept").await;
    assert!((1..=10).contains(&kept), "{kept} runs are kept");
}

#[tokio::test]
async fn a_run_with_a_long_error_or_value_keeps_its_key_after_a_restart() {
    let small = ByteSize::new(100_000);
    let large = ByteSize::new(16 << 20);
    let exact = ByteSize::new(1_500_001);
    for (part, text, limit, later_limit, status) in [
        ("message", "x", small, small, 500),
        // JSON encodes this character in six bytes.
        ("message", "\u{1}", small, small, 500),
        ("message", "\u{1}", exact, exact, 500),
        ("type", "x", small, small, 500),
        ("source", "x", small, small, 500),
        // The journal contains this error and this value whole; they are read back with a lower
        // limit.
        ("message", "x", large, small, 410),
        ("value", "x", large, small, 410),
    ] {
        let case = format!("{part} {text:?} {limit} {later_limit}");
        let journal = tempfile::tempdir().unwrap();
        let with = |limit| {
            config()
                .journal(Path::new(journal.path()))
                .max_run_size(limit)
        };
        let body = request(part, text, 1_500_000);
        let server = failing(with(limit)).await;
        let answer = server.send(invocation_with(KEY, &body)).await;
        assert_eq!(
            answer.status,
            if part == "value" { 200 } else { 500 },
            "{case}"
        );
        stop(server).await;
        // The agent is restarted twice, since the first restart may change the journal.
        for _ in 0..2 {
            let server = failing(with(later_limit)).await;
            let again = server.send(invocation_with(KEY, &body)).await;
            let replayed = again.header("ppio-idempotency");
            assert_eq!(replayed, Some("replayed"), "{case}");
            assert_eq!(again.status, status, "{case}");
            let state = server.send(get("/invocations/first")).await.json();
            let ended = if part == "value" { "success" } else { "error" };
            assert_eq!(state["status"], ended, "{case}");
            assert!(server.metric("runs_bytes").await <= later_limit.bytes());
            stop(server).await;
        }
    }
}

#[tokio::test]
async fn max_run_size_can_be_u64_max() {
    let journal = tempfile::tempdir().unwrap();
    let with = || {
        let config = config().journal(journal.path());
        config.max_run_size(ByteSize::new(u64::MAX))
    };
    let body = request("message", "x", 10);
    for replayed in ["supported", "replayed"] {
        let server = failing(with()).await;
        let answer = server.send(invocation_with(KEY, &body)).await;
        assert_eq!(answer.header("ppio-idempotency"), Some(replayed));
        stop(server).await;
    }
}
