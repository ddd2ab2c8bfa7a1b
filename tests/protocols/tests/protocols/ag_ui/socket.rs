//! AG-UI at `/ws`, as AgentCore calls it.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use ppio::{AgentRuntimeApp, Platform, Protocol, StartError, Value, json};
use ppio_test_support::call::send;
use ppio_test_support::{AgentProcess, eventually_some};

use super::{input, run, text, verify};
use crate::support::config;
use crate::web_socket::{Received, Socket};

fn start_with(settings: &[(&str, &str)]) -> AgentProcess {
    let program = Command::new(env!("CARGO_BIN_EXE_protocol-agent"));
    let launcher = AgentProcess::command(program).env("PPIO_AGENT_PLATFORM", "agentcore-ag-ui");
    let launcher = settings.iter().fold(launcher, |launcher, &(name, value)| {
        launcher.env(name, value)
    });
    launcher.start()
}

fn event(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// Runs the agent over a separate socket and returns the events.
async fn run_over_socket(agent: SocketAddr, input: &Value) -> Vec<Value> {
    let mut socket = Socket::open(agent, &[]).await;
    socket.send(input.to_string()).await;
    let (messages, code, reason) = socket.rest().await;
    assert_eq!((code, &*reason), (1000, ""), "{input}");
    let events: Vec<_> = messages.iter().map(|message| event(message)).collect();
    verify(&events);
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_the_same_over_a_socket() {
    let agent = start_with(&[]);
    for prompt in [
        "hello",
        "value",
        "weather",
        "approve",
        "state",
        "steps",
        "empty",
        "many 10000",
        "fail-first",
        "fail-later",
    ] {
        let input = input(prompt, prompt);
        let events = run_over_socket(agent.addr(), &input).await;
        // The same input joins the run, however it is sent.
        let headers = [("content-type", "application/json")];
        let body = input.to_string();
        let answer = send(&agent, "POST", "/invocations", &headers, body).await;
        assert_eq!(answer.status(), 200, "{prompt}");
        assert_eq!(answer.items().await, events, "{prompt}");
        assert_eq!(run(agent.addr(), &input).await, events, "{prompt}");
    }
    let events = run_over_socket(agent.addr(), &input("panic", "panic")).await;
    assert_eq!(events.last().unwrap()["code"], "Panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_input_closes_the_socket_with_1003() {
    let agent = start_with(&[("PPIO_AGENT_BODY_TIMEOUT", "1")]);
    let long = format!(r#"{{"threadId": "{}"}}"#, "\u{e9}".repeat(500));
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let deep = format!(r#"{{"threadId":"t","runId":"r","messages":[],"state":{deep}}}"#);
    for (message, text) in [
        ("", "invalid RunAgentInput: "),
        ("{", "line 1"),
        ("[]", "invalid RunAgentInput: "),
        (r#"{"threadId": "t", "runId": "r"}"#, "messages"),
        (&long, "invalid RunAgentInput: "),
        (&deep, "recursion limit"),
    ] {
        let mut socket = Socket::open(agent.addr(), &[]).await;
        socket.send(message).await;
        let (events, code, reason) = socket.rest().await;
        assert_eq!((events.len(), code), (0, 1003), "{message:.80}: {reason}");
        assert!(reason.contains(text), "{message:.80}: {reason}");
        assert!(reason.len() <= 123, "{reason}");
    }
    let mut socket = Socket::open(agent.addr(), &[]).await;
    socket.send_binary(b"{}").await;
    let (_, code, reason) = socket.rest().await;
    assert_eq!(
        (code, &*reason),
        (1003, "the RunAgentInput is not a text message")
    );
    // The agent does not wait for a client that sends nothing.
    let mut socket = Socket::open(agent.addr(), &[]).await;
    let (_, code, reason) = socket.rest().await;
    assert_eq!(
        (code, &*reason),
        (1003, "no RunAgentInput was received in time")
    );
    assert_eq!(
        text(&run(agent.addr(), &input("after", "hello")).await),
        "Hello, world!"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_sockets_and_of_invocations_apply() {
    let agent = start_with(&[
        ("PPIO_AGENT_WEBSOCKET_MAX_MESSAGE_SIZE", "64KiB"),
        ("PPIO_AGENT_MAX_CONCURRENCY", "1"),
    ]);
    let mut socket = Socket::open(agent.addr(), &[]).await;
    socket.send("x".repeat((64 << 10) + 1)).await;
    let (_, code, _) = socket.rest().await;
    assert_eq!(code, 1009);
    for (headers, status) in [
        ([("origin", "https://elsewhere.example")], 403),
        ([("host", "elsewhere.example")], 421),
    ] {
        let refused = Socket::try_open(agent.addr(), &headers).await;
        assert_eq!(refused.err(), Some(status), "{headers:?}");
    }
    // A socket that has sent no input is not an invocation.
    let _waiting = Socket::open(agent.addr(), &[]).await;
    let mut running = Socket::open(agent.addr(), &[]).await;
    running.send(input("r", "hang").to_string()).await;
    let Received::Text(first) = running.receive().await else {
        panic!("the run did not begin");
    };
    assert_eq!(event(&first)["type"], "RUN_STARTED");
    let mut other = Socket::open(agent.addr(), &[]).await;
    other.send(input("other", "hello").to_string()).await;
    let (events, code, _) = other.rest().await;
    assert_eq!(code, 1000);
    let error = event(&events[0]);
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("RUN_ERROR"), &json!("Overloaded"))
    );
    assert_eq!(events.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_the_socket_cancels_the_run_on_request() {
    let agent = start_with(&[]);
    let cancels = [("ppio-on-disconnect", "cancel")];
    let mut socket = Socket::open(agent.addr(), &cancels).await;
    socket.send(input("r", "hang").to_string()).await;
    // Messages after the input are ignored.
    socket.send("more").await;
    loop {
        let Received::Text(message) = socket.receive().await else {
            panic!("the run ended");
        };
        if event(&message)["type"] == "TEXT_MESSAGE_CONTENT" {
            break;
        }
    }
    socket.close().await;
    let mut asked = 0;
    eventually_some("the run is cancelled", async || {
        asked += 1;
        let input = input(&format!("asked-{asked}"), "cancelled");
        (text(&run_over_socket(agent.addr(), &input).await) == "1").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_closes_idle_sockets_and_waits_for_the_run() {
    let mut agent = start_with(&[]);
    let mut idle = Socket::open(agent.addr(), &[]).await;
    let mut running = Socket::open(agent.addr(), &[]).await;
    running.send(input("r", "slow 10 30").to_string()).await;
    let Received::Text(first) = running.receive().await else {
        panic!("the run did not begin");
    };
    agent.terminate();
    let (_, code, reason) = idle.rest().await;
    assert_eq!((code, &*reason), (1001, "the agent is shutting down"));
    let (messages, code, _) = running.rest().await;
    assert_eq!(code, 1000);
    let mut events = vec![event(&first)];
    events.extend(messages.iter().map(|message| event(message)));
    verify(&events);
    assert_eq!(text(&events), "0 1 2 3 4 5 6 7 8 9 ");
    assert_eq!(events.last().unwrap()["type"], "RUN_FINISHED");
    assert!(agent.wait(Duration::from_secs(20)).success());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_socket_is_served_without_the_websocket_protocol() {
    let agent = start_with(&[("PPIO_AGENT_PROTOCOLS", "ag-ui")]);
    let refused = Socket::try_open(agent.addr(), &[]).await;
    assert_eq!(refused.err(), Some(404));
    let reason = "and not at /ws: add `websocket` to PPIO_AGENT_PROTOCOLS";
    eventually_some("the warning in the log", async || {
        agent.stderr().contains(reason).then_some(())
    })
    .await;
    let index = send(&agent, "GET", "/", &[], String::new())
        .await
        .json()
        .await;
    assert_eq!(index["endpoints"].get("websocket"), None);
    let agent = start_with(&[]);
    let index = send(&agent, "GET", "/", &[], String::new())
        .await
        .json()
        .await;
    assert_eq!(index["endpoints"]["websocket"], "/ws");
    assert!(!agent.stderr().contains("/ws"), "{}", agent.stderr());
}

#[test]
fn a_websocket_function_conflicts_with_ag_ui_at_ws() {
    let build = |config: ppio::RuntimeConfig| {
        AgentRuntimeApp::builder()
            .config(config.platform(Platform::AgentCoreAgUi))
            .entrypoint(async |request: Value| request)
            .websocket(async |_socket: ppio::WebSocket| {})
            .build()
    };
    let error = build(config()).unwrap_err();
    assert!(matches!(error, StartError::WebSocketOfPlatform), "{error}");
    assert!(error.to_string().contains("/ws"), "{error}");
    build(config().protocols([Protocol::AgUi])).unwrap();
}
