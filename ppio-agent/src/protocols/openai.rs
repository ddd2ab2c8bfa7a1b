//! `OpenAI`'s chat completions.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ppio_agent_protocol::{ChatMessage, InvocationRequest};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ProtocolAgent;
use super::call;
use super::events::{EventWriter, Translator};
use super::items::{AnswerText, Item};
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::json::to_bytes;

/// The methods of a path, if it is one of this protocol.
pub(super) fn allow(path: &str) -> Option<&'static str> {
    match path {
        "/v1/chat/completions" => Some("POST, OPTIONS"),
        _ => None,
    }
}

/// The body of an error.
pub(super) fn error_body(failure: &Failure) -> Bytes {
    to_bytes(&error_json(failure))
}

fn error_json(failure: &Failure) -> serde_json::Value {
    json!({"error": {
        "message": failure.message,
        "type": if failure.status < 500 { "invalid_request_error" } else { "server_error" },
        "param": null,
        "code": failure.error_type,
    }})
}

#[derive(Deserialize)]
struct ChatCompletionRequest {
    messages: Vec<ChatMessage>,
    #[serde(default)]
    stream: bool,
    model: Option<String>,
}

/// Answers a request.
pub(super) async fn answer(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let options = call::run_options(agent, request.headers())?;
    let (parts, body) = call::read(request).await?;
    let body: ChatCompletionRequest = call::parse(&body)?;
    let model = body.model.unwrap_or_default();
    let request = InvocationRequest::of_messages(body.messages).with_stream(body.stream);
    let answer = call::invoke(agent, exchange, parts, &request, options).await?;
    let id = format!("chatcmpl-{}", answer.request_id(exchange));
    if body.stream {
        return Ok(answer.into_events(exchange, Chunks::new(&id, &model)));
    }
    let (whole, parts) = answer.into_whole().await?;
    Ok(parts.json(to_bytes(&json!({
        "id": id,
        "object": "chat.completion",
        "created": now(),
        "model": model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": whole.text},
            "finish_reason": "stop",
        }],
    }))))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The chunks of a chat completion.
struct Chunks {
    /// The JSON of a chunk up to the content of its delta.
    before: String,
    text: AnswerText,
}

/// The JSON of a chunk after the content of its delta.
const AFTER: &str = r#"},"finish_reason":null}]}"#;

impl Chunks {
    fn new(id: &str, model: &str) -> Self {
        #[derive(Serialize)]
        struct Head<'a> {
            id: &'a str,
            object: &'a str,
            created: u64,
            model: &'a str,
        }
        let head = to_bytes(&Head {
            id,
            object: "chat.completion.chunk",
            created: now(),
            model,
        });
        let head = String::from_utf8_lossy(&head[..head.len() - 1]);
        Self {
            before: format!(r#"{head},"choices":[{{"index":0,"delta":{{"content":"#),
            text: AnswerText::default(),
        }
    }
}

impl Translator for Chunks {
    fn item(&mut self, item: Item<'_>, events: &mut EventWriter) {
        if let Some(json) = self.text.json_of(&item) {
            events.parts(&[&self.before, &json, AFTER]);
        }
    }

    fn end(&mut self, failure: Option<Failure>, events: &mut EventWriter) {
        if let Some(failure) = failure {
            events.json(&error_json(&failure));
        }
        events.parts(&["[DONE]"]);
    }
}
