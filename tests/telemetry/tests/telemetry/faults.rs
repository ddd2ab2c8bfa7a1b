//! Tests that a receiver that fails does not affect callers.

use std::time::Duration;

use axum::http::StatusCode;
use ppio_test_support::{AgentProcess, call, eventually, eventually_some};
use serde_json::{Value, json};

use crate::agents::{agent, exporting};
use crate::receiver::{Answers, Receiver};

const CAPACITY: usize = 16;

async fn assert_answers(agent: &AgentProcess, count: usize) {
    for _ in 0..count {
        let answer = call::invoke(agent, &json!({"prompt": "value"})).await;
        assert_eq!(answer.result().await, "forty-two");
    }
}

/// Returns the log lines about exporting.
fn export_log_lines(agent: &AgentProcess) -> Vec<Value> {
    let log = agent.stderr();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| {
            line["target"]
                .as_str()
                .unwrap()
                .starts_with("ppio::telemetry")
        })
        .collect()
}

async fn dropped(agent: &AgentProcess) -> usize {
    let page = call::get(agent, "/metrics").await.text().await;
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix("ppio_agent_dropped_spans_total "));
    line.unwrap_or_else(|| panic!("{page}")).parse().unwrap()
}

/// Every caller is answered, dropped spans are counted, and the agent ends in time.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_receiver_does_not_affect_callers() {
    let closed = ppio_test_support::free_port();
    for answer in [
        Some(Answers::Never),
        Some(Answers::Status(StatusCode::INTERNAL_SERVER_ERROR)),
        Some(Answers::Status(StatusCode::SERVICE_UNAVAILABLE)),
        None,
    ] {
        let receiver = Receiver::answering(answer.unwrap_or(Answers::Success)).await;
        let mut launcher = exporting(&receiver)
            .env("OTEL_BSP_MAX_QUEUE_SIZE", CAPACITY.to_string())
            .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
            .env("OTEL_EXPORTER_OTLP_TIMEOUT", "2000")
            .env("PPIO_AGENT_SHUTDOWN_GRACE", "3");
        if answer.is_none() {
            let refuses = format!("http://127.0.0.1:{closed}");
            launcher = launcher.env("OTEL_EXPORTER_OTLP_ENDPOINT", refuses);
        }
        let mut agent = launcher.start();
        assert_answers(&agent, 100).await;
        if answer == Some(Answers::Never) {
            // The spans that are not dropped are in the queue or in a batch that is being sent.
            let dropped = dropped(&agent).await;
            assert!((100 - CAPACITY - 8..100).contains(&dropped), "{dropped}");
        }
        eventually("a complaint", || !export_log_lines(&agent).is_empty()).await;
        agent.terminate();
        assert!(agent.wait(Duration::from_secs(20)).success(), "{answer:?}");
        assert!(receiver.received().spans.is_empty());
    }
}

/// The log contains one line when a receiver fails, and one when it works again.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_and_a_recovery_are_each_logged_once() {
    let failing = Answers::Status(StatusCode::INTERNAL_SERVER_ERROR);
    let receiver = Receiver::answering(failing).await;
    let agent = exporting(&receiver)
        .env("OTEL_METRICS_EXPORTER", "none")
        .env("OTEL_LOGS_EXPORTER", "none")
        .start();
    assert_answers(&agent, 1).await;
    eventually("a complaint", || !export_log_lines(&agent).is_empty()).await;
    assert_answers(&agent, 5).await;
    receiver.answer(Answers::Success);
    // Earlier spans are lost, as the specification requires for status 500.
    eventually_some("an export", async || {
        assert_answers(&agent, 1).await;
        (!receiver.received().spans.is_empty()).then_some(())
    })
    .await;
    eventually("both lines", || export_log_lines(&agent).len() == 2).await;
    let lines = export_log_lines(&agent);
    assert!(
        lines[0]["message"]
            .as_str()
            .unwrap()
            .starts_with("cannot export traces")
    );
    assert_eq!(
        lines[0]["error"],
        "the receiver answered 500 Internal Server Error"
    );
    assert_eq!(lines[1]["message"], "exporting traces again");
}

/// A function that blocks all threads does not prevent the other spans from being sent.
#[tokio::test(flavor = "multi_thread")]
async fn blocked_threads_do_not_prevent_the_export_of_spans() {
    let receiver = Receiver::start().await;
    let agent = exporting(&receiver)
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        .env("PPIO_AGENT_WORKER_THREADS", "1")
        .env("PPIO_AGENT_SHUTDOWN_GRACE", "1")
        .start();
    assert_answers(&agent, 1).await;
    let _blocked = call::begin(&agent, &json!({"prompt": "blocked"})).await;
    // The only thread no longer accepts connections.
    eventually_some("the thread is blocked", async || {
        let ping = tokio::time::timeout(Duration::from_millis(200), call::get(&agent, "/ping"));
        ping.await.is_err().then_some(())
    })
    .await;
    assert!(agent.stop_gracefully().success());
    assert_eq!(receiver.received().spans.len(), 1);
}

/// Without a receiver there is no thread for exports and no line about them.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_a_receiver_has_no_exporter() {
    let agent = agent().start();
    assert_answers(&agent, 1).await;
    let threads = std::fs::read_dir(format!("/proc/{}/task", agent.pid())).unwrap();
    for thread in threads {
        let name = std::fs::read_to_string(thread.unwrap().path().join("comm")).unwrap();
        assert!(
            !name.contains("otlp") && !name.contains("OpenTel"),
            "{name}"
        );
    }
    assert!(export_log_lines(&agent).is_empty());
}
