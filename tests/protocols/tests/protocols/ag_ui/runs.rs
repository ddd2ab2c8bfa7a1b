//! Runs whose callers disconnect, join, or request another protocol version.

use ppio::json;
use ppio_test_support::call::send;
use ppio_test_support::{AgentProcess, eventually_some};

use super::{input, post, protocol_agent, run, text, verify};

#[tokio::test(flavor = "multi_thread")]
async fn every_requested_version_is_answered_with_1_0() {
    let agent = protocol_agent();
    for version in ["0.9", "1.7", "2.0", "tomorrow"] {
        let mut input = input(version, "hello");
        input["protocolVersion"] = json!(version);
        let events = run(agent.addr(), &input).await;
        assert_eq!(events[0]["protocolVersion"], "1.0", "{version}");
        assert_eq!(text(&events), "Hello, world!", "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_cancels_the_run_on_request() {
    let agent = protocol_agent();
    let cancelled = ("ppio-on-disconnect", "cancel");
    let mut answer = post(agent.addr(), &[cancelled], &input("r", "hang")).await;
    let first = answer.next_items().await.unwrap();
    assert_eq!(first[0]["type"], "RUN_STARTED");
    drop(answer);
    let mut asked = 0;
    eventually_some("the run is cancelled", async || {
        asked += 1;
        let input = input(&format!("asked-{asked}"), "cancelled");
        (text(&run(agent.addr(), &input).await) == "1").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_has_the_outcome_cancelled() {
    let agent = protocol_agent();
    let mut answer = post(agent.addr(), &[], &input("r", "hang")).await;
    let id = answer.headers()["x-request-id"].clone();
    let mut events = Vec::new();
    while text(&events).is_empty() {
        events.extend(answer.next_items().await.unwrap());
    }
    let path = format!("/invocations/{}", id.to_str().unwrap());
    let cancelled = send(&agent, "DELETE", &path, &[], String::new()).await;
    assert_eq!(cancelled.status(), 200);
    events.extend(answer.items().await);
    verify(&events);
    let outcome = &events.last().unwrap()["outcome"];
    assert_eq!(*outcome, json!({"type": "cancelled"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_input_joins_the_run() {
    let agent = protocol_agent();
    let input = input("r", "slow 10 20");
    let mut first = post(agent.addr(), &[], &input).await;
    let mut seen = Vec::new();
    while text(&seen).is_empty() {
        seen.extend(first.next_items().await.unwrap());
    }
    // The page is loaded again, which drops its connection.
    drop(first);
    let events = run(agent.addr(), &input).await;
    assert!(events.starts_with(&seen), "{seen:?} {events:?}");
    assert_eq!(text(&events), "0 1 2 3 4 5 6 7 8 9 ");
    let later = run(agent.addr(), &input).await;
    assert_eq!(later, events);

    let mut other = input.clone();
    other["messages"][0]["content"] = json!("hello");
    let answer = post(agent.addr(), &[], &other).await;
    assert_eq!(answer.status(), 422);
    let error = answer.json().await;
    assert_eq!(error["code"], "RunIdReused", "{error}");
    let answer = post(agent.addr(), &[("idempotency-key", "k")], &other).await;
    assert_eq!(text(&answer.items().await), "Hello, world!");
    let mut other = input;
    other["threadId"] = json!("other");
    other["messages"][0]["content"] = json!("hello");
    assert_eq!(text(&run(agent.addr(), &other).await), "Hello, world!");
}

#[tokio::test(flavor = "multi_thread")]
async fn agentcore_runs_are_served_at_invocations() {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_protocol-agent"));
    program.env("PPIO_AGENT_PLATFORM", "agentcore-ag-ui");
    let agent = AgentProcess::command(program).start();
    let json = [("content-type", "application/json")];
    let body = input("r-1", "hello").to_string();
    let answer = send(&agent, "POST", "/invocations", &json, body).await;
    let stream = answer.text().await;
    let events: Vec<_> = crate::support::events(&stream)
        .iter()
        .map(|(_, data)| serde_json::from_str(data).unwrap())
        .collect();
    verify(&events);
    assert_eq!(text(&events), "Hello, world!");
    // Errors at `/invocations` are events of the protocol as well.
    let answer = send(&agent, "POST", "/invocations", &json, "{}".to_owned()).await;
    assert_eq!(answer.status(), 422);
    assert_eq!(answer.json().await["type"], "RUN_ERROR");
}
