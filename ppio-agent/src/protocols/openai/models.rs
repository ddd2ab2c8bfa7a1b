//! `/v1/models`: the agent is the only model.

use http::StatusCode;
use serde_json::{Value, json};

use super::super::ProtocolAgent;
use crate::exchange::agent_info::AgentInfo;
use crate::exchange::body::Response;
use crate::exchange::error::Error;
use crate::exchange::json::{response, to_bytes};

/// Answers `GET /v1/models`.
pub(super) fn list(agent: &ProtocolAgent<'_>) -> Response {
    let model = model(agent.protocols.agent());
    let list = json!({"object": "list", "data": [model]});
    response(StatusCode::OK, to_bytes(&list))
}

/// Answers `GET /v1/models/{id}`.
pub(super) fn get(agent: &ProtocolAgent<'_>, id: &str) -> Result<Response, Error> {
    let agent = agent.protocols.agent();
    if id == agent.name {
        return Ok(response(StatusCode::OK, to_bytes(&model(agent))));
    }
    let id: String = id.chars().take(64).collect();
    let message = format!("model {id:?} not found; use {:?}", agent.name);
    Err(Error::not_found(message).with_type("ModelNotFound"))
}

fn model(agent: &AgentInfo) -> Value {
    let mut model = json!({
        "id": agent.name,
        "object": "model",
        // Required by the API; an agent has no creation time.
        "created": 0,
        "owned_by": "agent",
    });
    for (name, text) in [
        ("description", agent.description),
        ("version", agent.version),
    ] {
        if !text.is_empty() {
            model[name] = text.into();
        }
    }
    model
}
