//! `OpenAI`'s chat completions, responses and models.

mod completions;
mod endings;
mod parameters;
mod refusals;
mod responses;
mod stored;

use std::net::SocketAddr;
use std::process::Command;

use ppio_test_support::AgentProcess;
use ppio_test_support::call::{Answer, send_to};
use serde_json::{Value, json};

/// Starts the agent that does what its prompt requests.
fn start() -> AgentProcess {
    AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_protocol-agent"))).start()
}

async fn send(agent: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    let headers: &[_] = match body {
        "" => &[],
        _ => &[("content-type", "application/json")],
    };
    send_to(agent, method, path, headers, body.to_owned()).await
}

/// Posts a request and returns the JSON body of the successful answer.
async fn post(agent: SocketAddr, path: &str, body: &Value) -> Value {
    let answer = send(agent, "POST", path, &body.to_string()).await;
    let status = answer.status();
    let body = answer.json().await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn get(agent: SocketAddr, path: &str) -> Value {
    let answer = send(agent, "GET", path, "").await;
    let status = answer.status();
    let body = answer.json().await;
    assert_eq!(status, 200, "{body}");
    body
}

/// Checks the status and the code of an error, and returns its message.
async fn error(answer: Answer, status: u16, code: &str) -> String {
    let actual = answer.status();
    let body = answer.json().await;
    assert_eq!(actual, status, "{body}");
    assert_eq!(body["error"]["code"], code, "{body}");
    assert_eq!(body["error"]["param"], Value::Null, "{body}");
    let kind = if status < 500 {
        "invalid_request_error"
    } else {
        "server_error"
    };
    assert_eq!(body["error"]["type"], kind, "{body}");
    body["error"]["message"].as_str().unwrap().to_owned()
}

/// Returns a tool of the caller, in the form of chat completions.
fn tool() -> Value {
    json!({"type": "function", "function": {
        "name": "get_weather", "description": "The weather.", "strict": true,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_is_listed_as_the_model() {
    let agent = start();
    let list = get(agent.addr(), "/v1/models").await;
    assert_eq!(list["object"], "list");
    let model = &list["data"][0];
    assert_eq!(model["id"], "protocol-tests", "{list}");
    assert_eq!(model["object"], "model");
    assert!(
        model["description"]
            .as_str()
            .unwrap()
            .starts_with("Does what the prompt says"),
        "{list}"
    );
    assert_eq!(
        get(agent.addr(), "/v1/models/protocol%2Dtests").await,
        *model
    );
    let unknown = send(agent.addr(), "GET", "/v1/models/gpt", "").await;
    let message = error(unknown, 404, "ModelNotFound").await;
    assert!(
        message.contains("\"gpt\"") && message.contains("\"protocol-tests\""),
        "{message}"
    );
}
