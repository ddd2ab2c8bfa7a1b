//! A model endpoint with OpenAI's chat completions API, whose answers a test scripts.

use serde_json::{Value, json};

use crate::AgentLauncher;
use crate::scripted_platform::{Recorded, Reply, ScriptedPlatform};

const ROUTE: &str = "POST /v1/chat/completions";

/// An endpoint on its own port, which is closed when the endpoint is dropped.
pub struct ModelEndpoint(ScriptedPlatform);

impl ModelEndpoint {
    /// Starts an endpoint without scripted answers.
    pub async fn start() -> Self {
        Self(ScriptedPlatform::start().await)
    }

    /// Sets the environment variables with the address, the API key and the model of the endpoint.
    pub fn configure(&self, agent: AgentLauncher) -> AgentLauncher {
        agent
            .env("OPENAI_BASE_URL", format!("{}/v1", self.0.url()))
            .env("OPENAI_API_KEY", "sk-secret")
            .env("OPENAI_MODEL", "small")
    }

    /// Sets the answer to the next request that has no answer yet.
    pub fn script(&self, reply: Reply) {
        self.0.script(ROUTE, reply);
    }

    /// Returns the requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.0.requests(ROUTE)
    }

    /// Waits until all connections are closed.
    pub async fn eventually_left(&self) {
        let left = |endpoint: &ScriptedPlatform| endpoint.open_connections() == 0;
        self.0
            .eventually("the agent disconnected from the model", left)
            .await;
    }
}

/// Returns a streamed answer that begins with these texts and is not complete.
pub fn texts(texts: &[&str]) -> Reply {
    let chunk = |text: &&str| chunk(&json!({ "content": text }), &Value::Null);
    let chunks = texts.iter().map(chunk);
    chunks.fold(Reply::events(), Reply::chunk)
}

/// Returns a complete streamed answer of these texts.
pub fn answer(parts: &[&str]) -> Reply {
    texts(parts).chunk(finish("stop")).end()
}

/// Returns a streamed answer that calls tools by id, name and arguments; the arguments come in two
/// chunks.
pub fn tool_calls(calls: &[(&str, &str, &Value)]) -> Reply {
    let mut reply = Reply::events();
    for (index, (id, name, arguments)) in calls.iter().enumerate() {
        let arguments = arguments.to_string();
        let (begin, end) = arguments.split_at(arguments.len() / 2);
        let start = json!({
            "index": index, "id": id, "type": "function",
            "function": { "name": name, "arguments": begin },
        });
        let rest = json!({ "index": index, "function": { "arguments": end } });
        for call in [start, rest] {
            reply = reply.chunk(chunk(&json!({ "tool_calls": [call] }), &Value::Null));
        }
    }
    reply.chunk(finish("tool_calls")).end()
}

/// Returns one chunk with a delta of the answer.
pub fn chunk(delta: &Value, finish: &Value) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
    event(&json!({
        "id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "small",
        "choices": [choice],
    }))
}

/// Returns the chunks that end a stream and report 7 prompt tokens and 3 completion tokens.
fn finish(reason: &str) -> String {
    let usage = json!({
        "id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "small", "choices": [],
        "usage": { "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10 },
    });
    [
        chunk(&json!({}), &json!(reason)),
        event(&usage),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat()
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}
