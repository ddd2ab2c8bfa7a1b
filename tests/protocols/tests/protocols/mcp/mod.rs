//! MCP: the agent as a tool, in both generations of the protocol.

mod cancellation;
mod hostile_requests;
mod interrupts;
mod long_calls;
mod messages;
mod results;
mod tool;

use std::process::Command;

use ppio_test_support::AgentProcess;
use ppio_test_support::call::{Answer, send};
use serde_json::{Value, json};

use crate::support::Agent;

const STATELESS: &str = "2026-07-28";
const BOTH: (&str, &str) = ("accept", "application/json, text/event-stream");
const JSON: (&str, &str) = ("content-type", "application/json");

/// Returns a request of the protocol generation that begins with `initialize`.
fn request(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

/// Sends a request of the protocol generation without `initialize`, with the headers it requires.
async fn stateless(agent: &Agent, method: &str, mut params: Value) -> Answer {
    let name = params["name"].as_str().unwrap_or_default().to_owned();
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = STATELESS.into();
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let headers = [
        BOTH,
        ("mcp-protocol-version", STATELESS),
        ("mcp-method", method),
        ("mcp-name", &name),
    ];
    let body = request(method, &params).to_string();
    agent.send("POST", "/mcp", &headers, &body).await
}

async fn handshake(agent: &Agent, method: &str, params: &Value) -> Answer {
    let body = request(method, params).to_string();
    agent.send("POST", "/mcp", &[BOTH], &body).await
}

/// Sends a call in either generation, with or without a progress token.
async fn call(agent: &Agent, is_stateless: bool, arguments: Value, token: Option<&str>) -> Answer {
    let mut params = json!({"name": "protocol-tests", "arguments": arguments});
    if let Some(token) = token {
        params["_meta"]["progressToken"] = token.into();
    }
    if is_stateless {
        stateless(agent, "tools/call", params).await
    } else {
        handshake(agent, "tools/call", &params).await
    }
}

fn text_of(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

/// Starts the agent that does what its prompt requests.
fn start() -> AgentProcess {
    start_with(&[])
}

fn start_with(settings: &[(&str, &str)]) -> AgentProcess {
    let command = Command::new(env!("CARGO_BIN_EXE_protocol-agent"));
    let mut launcher = AgentProcess::command(command);
    for &(name, value) in settings {
        launcher = launcher.env(name, value);
    }
    launcher.start()
}

/// Posts a JSON-RPC request to the agent of a process.
async fn post(agent: &AgentProcess, headers: &[(&str, &str)], body: &Value) -> Answer {
    let headers = [&[JSON, BOTH][..], headers].concat();
    send(agent, "POST", "/mcp", &headers, body.to_string()).await
}
