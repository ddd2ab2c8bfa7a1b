//! The agent card.

use http::header::{CACHE_CONTROL, HOST};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use crate::exchange::body::Response;
use crate::exchange::json::{self, to_bytes};
use crate::protocols::ProtocolAgent;

/// Where AgentCore says that its agents are reached.
const AGENT_CORE_URL: &str = "AGENTCORE_RUNTIME_URL";

/// Answers with the card: who the agent is, and where and how it is called.
pub(super) fn answer(agent: &ProtocolAgent<'_>, headers: &HeaderMap) -> Response {
    let info = agent.protocols.agent();
    let url = url(headers);
    let description = match info.description {
        "" => info.name,
        description => description,
    };
    let summary = description.lines().next().unwrap_or_default();
    let version = match info.version {
        "" => "0.0.0",
        version => version,
    };
    let modes = ["text/plain", "application/json"];
    let interface = |binding: &str, version: &str| json!({"url": url, "protocolBinding": binding, "protocolVersion": version});
    let card = json!({
        "name": info.name,
        "description": description,
        "version": version,
        "supportedInterfaces": [
            interface("JSONRPC", "1.0"),
            interface("HTTP+JSON", "1.0"),
            interface("JSONRPC", "0.3"),
        ],
        "capabilities": {
            "streaming": true,
            "pushNotifications": false,
            "extendedAgentCard": false,
        },
        "defaultInputModes": modes,
        "defaultOutputModes": modes,
        "skills": [{
            "id": info.name,
            "name": info.name,
            "description": summary,
            "tags": ["agent"],
        }],
        // Of version 0.3.
        "url": url,
        "preferredTransport": "JSONRPC",
        "protocolVersion": "0.3.0",
    });
    let mut response = json::response(StatusCode::OK, to_bytes(&card));
    // It has the host of the request.
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

/// Where the caller of a request reaches the agent: as AgentCore says, otherwise as the request did.
fn url(headers: &HeaderMap) -> String {
    if let Ok(url) = std::env::var(AGENT_CORE_URL)
        && !url.is_empty()
    {
        return url;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST.as_str()).unwrap_or("localhost");
    let scheme = match text("x-forwarded-proto") {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        _ => "http",
    };
    format!("{scheme}://{host}/a2a")
}
