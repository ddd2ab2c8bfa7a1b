//! The agent that every comparison server serves.
//!
//! | program | serves the agent with |
//! | --- | --- |
//! | `ours`, `ours-stream` | this framework: one value, and a stream |
//! | `raw-hyper` | hyper, with a frame per stream item |
//! | `raw-hyper --coalesce` | hyper, with frames of up to about 32 KiB of ready stream items |
//! | `axum` | axum, `OpenAI`'s chat completions as well |
//! | `ours-openai` | this framework with all protocols: a stream of text |
//! | `ours-protocols` | the same as `ours` with all protocols |
//! | `ours-otel`, `ours-stream-otel` | `ours` and `ours-stream`, with the feature `otel` |
//! | `python/agent.py` | the PPIO Python package |
//!
//! `load` sends requests to a server; `otlp-receiver` accepts what a server exports; `first-answer`
//! measures new sessions on the local platform. `cargo xtask bench` runs them and compares the
//! results.

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// The largest request body that `raw-hyper` and `axum` accept, in bytes.
pub const MAX_REQUEST_SIZE: usize = 1024 * 1024;

/// Returns the agent's answer. The answer takes little time, so that the server is measured.
pub fn greet(request: &Value) -> Value {
    let name = request["prompt"].as_str().unwrap_or("world");
    json!({ "greeting": format!("Hello, {name}!") })
}

/// Returns the number of items if the request is for a stream, such as `{"stream": 100000}`.
pub fn stream_length(request: &Value) -> Option<u64> {
    request["stream"].as_u64()
}

/// An item of a stream, about as large as a token of a language model.
#[derive(Serialize)]
pub struct Token {
    /// The position in the stream, from zero.
    pub index: u64,
    /// The text.
    pub text: &'static str,
}

/// Returns `length` items, which are all ready.
pub fn tokens(length: u64) -> impl Iterator<Item = Token> + Send {
    (0..length).map(|index| Token {
        index,
        text: "token",
    })
}

/// Returns the number of words that the prompt requests, such as `20000`; zero if not a number.
pub fn prompt_length(prompt: &str) -> u64 {
    prompt.parse().unwrap_or_default()
}

/// Returns `length` words of a text, which are all ready.
pub fn words(length: u64) -> impl Iterator<Item = String> + Send {
    (0..length).map(|index| format!("token {index} "))
}

/// The body of a successful response.
#[derive(Serialize)]
pub struct Envelope {
    result: Value,
    status: &'static str,
    /// The duration of the invocation in seconds.
    duration: f64,
    metadata: Metadata,
    error: Option<String>,
}

#[derive(Serialize)]
struct Metadata {
    request_id: Uuid,
}

impl Envelope {
    /// Creates the envelope of a success that took `duration` seconds.
    pub fn success(result: Value, duration: f64, request_id: Uuid) -> Self {
        Self {
            result,
            status: "success",
            duration,
            metadata: Metadata { request_id },
            error: None,
        }
    }
}

/// Returns a new version 4 UUID, without a system call.
pub fn request_id() -> Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid()
}

/// Returns the address to listen on: the loopback address with the port in `PPIO_AGENT_PORT`.
///
/// # Errors
///
/// If the variable is missing or is not a port.
pub fn listen_address() -> Result<std::net::SocketAddr, String> {
    let port = std::env::var("PPIO_AGENT_PORT")
        .map_err(|_| "PPIO_AGENT_PORT is not set; set it to the port to listen on".to_owned())?;
    let port: u16 = port
        .parse()
        .map_err(|_| format!("PPIO_AGENT_PORT is `{port}`; set it to a number from 1 to 65535"))?;
    Ok(([127, 0, 0, 1], port).into())
}
