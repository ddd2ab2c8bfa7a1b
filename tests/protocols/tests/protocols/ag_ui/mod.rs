//! AG-UI: checks every event of every answer as the published client does.

mod events;
mod refused;
mod runs;
mod shapes;
mod socket;

use std::net::SocketAddr;
use std::process::Command;

use ppio::{Value, json};
use ppio_test_support::AgentProcess;
use ppio_test_support::call::{Answer, send_to};

/// Returns the input of a run.
fn input(run_id: &str, prompt: &str) -> Value {
    json!({
        "threadId": "t",
        "runId": run_id,
        "messages": [{"id": "u1", "role": "user", "content": prompt}],
        "state": {}, "tools": [], "context": [], "forwardedProps": {},
    })
}

async fn post(address: SocketAddr, headers: &[(&str, &str)], input: &Value) -> Answer {
    let mut headers = headers.to_vec();
    headers.push(("content-type", "application/json"));
    headers.push(("accept", "text/event-stream"));
    send_to(address, "POST", "/ag-ui", &headers, input.to_string()).await
}

/// Runs the agent, verifies the events and returns them.
async fn run(address: SocketAddr, input: &Value) -> Vec<Value> {
    let answer = post(address, &[], input).await;
    assert_eq!(answer.status(), 200, "{input}");
    let events = answer.items().await;
    verify(&events);
    events
}

fn protocol_agent() -> AgentProcess {
    AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_protocol-agent"))).start()
}

/// Checks a stream as the client's verifier does, and that no member is null.
fn verify(events: &[Value]) {
    let mut open = Vec::new();
    let (last, others) = events.split_last().unwrap();
    for (at, event) in events.iter().enumerate() {
        let members = event.as_object().unwrap();
        assert!(members.values().all(|value| !value.is_null()), "{event}");
        let event_type = event["type"].as_str().unwrap();
        assert_eq!(event_type == "RUN_STARTED", at == 0, "{events:?}");
        let names = ["messageId", "toolCallId", "stepName"];
        let name = names.iter().find_map(|name| event[name].as_str());
        let (kind, action) = match event_type {
            "TOOL_CALL_RESULT" => continue,
            "REASONING_START" => ("REASONING_SPAN", "START"),
            "REASONING_END" => ("REASONING_SPAN", "END"),
            other => other.rsplit_once('_').unwrap_or((other, "")),
        };
        let this = (kind, name.unwrap_or_default());
        match action {
            "START" | "STARTED" if kind != "RUN" => {
                assert!(!open.contains(&this), "{event} is open in {events:?}");
                open.push(this);
            }
            "CONTENT" | "ARGS" => assert!(open.contains(&this), "{event} in {events:?}"),
            "END" | "FINISHED" if kind != "RUN" => {
                let at = open.iter().position(|one| *one == this);
                open.remove(at.unwrap_or_else(|| panic!("{event} in {events:?}")));
            }
            _ => {}
        }
    }
    match last["type"].as_str().unwrap() {
        "RUN_FINISHED" => assert!(open.is_empty(), "{open:?} in {events:?}"),
        "RUN_ERROR" => {}
        other => panic!("{other} is last in {events:?}"),
    }
    let is_end = |event: &&Value| event["type"] == "RUN_FINISHED" || event["type"] == "RUN_ERROR";
    assert_eq!(others.iter().find(is_end), None, "{events:?}");
}

fn of_type<'a>(events: &'a [Value], event_type: &str) -> Vec<&'a Value> {
    let events = events.iter();
    events.filter(|event| event["type"] == event_type).collect()
}

fn text(events: &[Value]) -> String {
    let contents = of_type(events, "TEXT_MESSAGE_CONTENT").into_iter();
    contents
        .map(|event| event["delta"].as_str().unwrap())
        .collect()
}
