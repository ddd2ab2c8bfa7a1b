//! What every comparison server does, so that only the way of serving differs.
//!
//! The servers are in `src/bin`: `raw-hyper` and `axum` by hand, `ours` and `ours-stream` with this
//! framework; `python/agent.py` is the same agent on the Python package. `load` drives them and
//! `cargo xtask bench` compares them.

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// The largest request body that a server accepts, in bytes.
pub const MAX_REQUEST_SIZE: usize = 1024 * 1024;

/// The work of the agent: nearly none, so that the way of serving is what is measured.
pub fn greet(request: &Value) -> Value {
    let name = request["prompt"].as_str().unwrap_or("world");
    json!({ "greeting": format!("Hello, {name}!") })
}

/// How many items the request asks for, when it asks for a stream: `{"stream": 100000}`.
pub fn stream_length(request: &Value) -> Option<u64> {
    request["stream"].as_u64()
}

/// One item of a stream, about as large as a token of a language model.
#[derive(Serialize)]
pub struct Token {
    /// Position in the stream, from zero.
    pub index: u64,
    /// The text.
    pub text: &'static str,
}

/// `length` items that are all ready at once.
pub fn tokens(length: u64) -> impl Iterator<Item = Token> + Send {
    (0..length).map(|index| Token {
        index,
        text: "token",
    })
}

/// The body of a successful answer.
#[derive(Serialize)]
pub struct Envelope {
    result: Value,
    status: &'static str,
    /// Seconds.
    duration: f64,
    metadata: Metadata,
    error: Option<String>,
}

#[derive(Serialize)]
struct Metadata {
    request_id: Uuid,
}

impl Envelope {
    /// A success that took `duration` seconds.
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

/// A new version 4 UUID, without a system call.
pub fn request_id() -> Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid()
}

/// The address to listen on: loopback, at the port in `PPIO_AGENT_PORT`.
///
/// # Errors
///
/// The variable is missing or is not a port.
pub fn listen_address() -> Result<std::net::SocketAddr, String> {
    let port = std::env::var("PPIO_AGENT_PORT")
        .map_err(|_| "set PPIO_AGENT_PORT to the port to listen on".to_owned())?;
    let port: u16 = port
        .parse()
        .map_err(|_| format!("PPIO_AGENT_PORT is `{port}`, which is not a port"))?;
    Ok(([127, 0, 0, 1], port).into())
}
