//! The UI message stream: checks every stream as the published reader does.

mod chunks;
mod refused;
mod resumed;
mod shapes;

use std::net::SocketAddr;
use std::process::Command;

use ppio::{Value, json};
use ppio_test_support::AgentProcess;
use ppio_test_support::call::{Answer, send_to};

use crate::support::events;

/// Returns the request of a chat whose only message is a prompt.
fn request(chat: &str, prompt: &str) -> Value {
    json!({
        "id": chat,
        "trigger": "submit-message",
        "messages": [{"id": "u1", "role": "user", "parts": [{"type": "text", "text": prompt}]}],
    })
}

async fn post(address: SocketAddr, headers: &[(&str, &str)], request: &Value) -> Answer {
    let mut headers = headers.to_vec();
    headers.push(("content-type", "application/json"));
    send_to(address, "POST", "/api/chat", &headers, request.to_string()).await
}

/// Sends a request that resumes the stream of a chat or stops the chat.
async fn ask(address: SocketAddr, method: &str, chat: &str, what: &str) -> Answer {
    let path = format!("/api/chat/{chat}/{what}");
    send_to(address, method, &path, &[], String::new()).await
}

/// Verifies the chunks of an answer and returns them.
async fn chunks(answer: Answer) -> Vec<Value> {
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-vercel-ai-ui-message-stream"], "v1");
    let events = events(&answer.text().await);
    let (done, chunks) = events.split_last().unwrap();
    assert_eq!(done.1, "[DONE]");
    let chunks = chunks.iter().map(|(_, chunk)| serde_json::from_str(chunk));
    let chunks: Vec<Value> = chunks.collect::<Result<_, _>>().unwrap();
    verify(&chunks);
    chunks
}

async fn run(address: SocketAddr, request: &Value) -> Vec<Value> {
    chunks(post(address, &[], request).await).await
}

fn protocol_agent() -> AgentProcess {
    AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_protocol-agent"))).start()
}

/// Checks that parts are open while they grow, that calls precede their results, that steps are
/// closed, and that the stream ends once.
fn verify(chunks: &[Value]) {
    let (mut open, mut calls, mut in_step) = (Vec::new(), Vec::new(), false);
    let (last, others) = chunks.split_last().unwrap();
    assert_eq!(
        others.first().unwrap_or(last)["type"],
        "start",
        "{chunks:?}"
    );
    for chunk in chunks {
        let members = chunk.as_object().unwrap();
        let is_data = |name: &str| ["data", "input", "output"].contains(&name);
        let mut optional = members.iter().filter(|(name, _)| !is_data(name));
        assert!(optional.all(|(_, value)| !value.is_null()), "{chunk}");
        let chunk_type = chunk["type"].as_str().unwrap();
        let id = chunk["id"].as_str().unwrap_or_default();
        let call = chunk["toolCallId"].as_str();
        match chunk_type {
            "start-step" | "finish-step" => {
                assert_eq!(in_step, chunk_type == "finish-step", "{chunks:?}");
                in_step = !in_step;
            }
            "text-start" | "reasoning-start" => {
                assert!(!open.contains(&id), "{chunk} is open in {chunks:?}");
                open.push(id);
            }
            "text-delta" | "reasoning-delta" => assert!(open.contains(&id), "{chunks:?}"),
            "text-end" | "reasoning-end" => {
                let at = open.iter().position(|one| *one == id);
                open.remove(at.unwrap_or_else(|| panic!("{chunk} in {chunks:?}")));
            }
            "tool-input-start" | "tool-input-available" | "tool-input-error" => calls.extend(call),
            "tool-input-delta" | "tool-output-available" | "tool-approval-request" => {
                assert!(calls.contains(&call.unwrap()), "{chunk} in {chunks:?}");
            }
            _ => {}
        }
    }
    match last["type"].as_str().unwrap() {
        "finish" => assert!(open.is_empty() && !in_step, "{chunks:?}"),
        "error" | "abort" => {}
        other => panic!("{other} is last in {chunks:?}"),
    }
    let is_end = |chunk: &&Value| {
        ["finish", "error", "abort"]
            .iter()
            .any(|end| chunk["type"] == *end)
    };
    assert_eq!(others.iter().find(is_end), None, "{chunks:?}");
}

fn of_type<'a>(chunks: &'a [Value], chunk_type: &str) -> Vec<&'a Value> {
    let chunks = chunks.iter();
    chunks.filter(|chunk| chunk["type"] == chunk_type).collect()
}

fn text(chunks: &[Value]) -> String {
    let deltas = of_type(chunks, "text-delta").into_iter();
    deltas
        .map(|chunk| chunk["delta"].as_str().unwrap())
        .collect()
}
