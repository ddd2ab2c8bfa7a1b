//! Another agent, called over A2A 1.0.
//!
//! The calls are plain HTTP: the protocol needs only two JSON requests, and its Rust client depends
//! on gRPC.

use ppio::{Error, Value, json};
use reqwest::RequestBuilder;

use crate::failure;

/// An agent that is found by its card.
pub(crate) struct Agent {
    pub(crate) http: reqwest::Client,
    /// The agent's URL; the card is below it.
    pub(crate) url: String,
}

impl Agent {
    /// Returns the text of the agent's answer. `id` is the id of the message.
    pub(crate) async fn ask(&self, id: &str, text: &str) -> Result<String, Error> {
        let base = self.url.trim_end_matches('/');
        let card = self.http.get(format!("{base}/.well-known/agent-card.json"));
        let card = json_of(card).await?;
        let interfaces = card["supportedInterfaces"].as_array();
        let is_rpc = |interface: &&Value| {
            interface["protocolBinding"] == "JSONRPC" && interface["protocolVersion"] == "1.0"
        };
        let rpc = interfaces.and_then(|all| all.iter().find(is_rpc)?["url"].as_str());
        let rpc = rpc.ok_or_else(|| {
            failure("the agent's card has no JSON-RPC of A2A 1.0; check AGENT_URL")
        })?;
        let message = json!({
            "messageId": id,
            "role": "ROLE_USER",
            "parts": [{ "text": text }],
        });
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": { "message": message },
        });
        let call = self.http.post(rpc).header("a2a-version", "1.0").json(&call);
        answer_of(&json_of(call).await?)
    }
}

async fn json_of(request: RequestBuilder) -> Result<Value, Error> {
    let unreachable = |error: reqwest::Error| {
        failure("the agent cannot be reached; check AGENT_URL").with_source(error)
    };
    let answer = request.send().await.map_err(unreachable)?;
    let answer = answer.error_for_status().map_err(unreachable)?;
    answer.json().await.map_err(|error| {
        failure("the agent's answer is not valid JSON; check AGENT_URL").with_source(error)
    })
}

/// Returns the text of a message, or of the artifacts of a completed task.
fn answer_of(answer: &Value) -> Result<String, Error> {
    let result = &answer["result"];
    let task = &result["task"];
    if let Some(text) = text_of(&result["message"]) {
        return Ok(text);
    }
    match task["status"]["state"].as_str() {
        Some("TASK_STATE_COMPLETED") => {
            let artifacts = task["artifacts"].as_array().into_iter().flatten();
            Ok(artifacts.filter_map(text_of).collect())
        }
        Some("TASK_STATE_INPUT_REQUIRED") => Err(failure(
            "the agent needs an answer; call the agent directly to send one",
        )),
        _ => {
            let reason = text_of(&task["status"]["message"]);
            let reason = reason.or_else(|| answer["error"]["message"].as_str().map(str::to_owned));
            Err(failure("the agent failed; its error is in the log")
                .with_source(reason.unwrap_or_else(|| answer.to_string())))
        }
    }
}

/// Returns the text of the parts of a message or an artifact, if it has parts.
fn text_of(parted: &Value) -> Option<String> {
    let parts = parted["parts"].as_array()?;
    Some(
        parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect(),
    )
}
