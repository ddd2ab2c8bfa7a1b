//! The agent card.

use http::header::{CACHE_CONTROL, HOST};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use crate::exchange::body::Response;
use crate::exchange::json::{self, to_bytes};
use crate::exchange::platform::Platform;
use crate::protocols::ProtocolAgent;

/// Answers with the card: who the agent is, and where and how it is called.
pub(super) fn answer(agent: &ProtocolAgent<'_>, headers: &HeaderMap) -> Response {
    let info = agent.protocols.agent();
    let settings = agent.invoker.settings();
    let is_platform = settings.platform == Some(Platform::AgentCoreA2a);
    let url = settings.runtime_url.clone();
    let url = url.unwrap_or_else(|| url_of(headers, if is_platform { "/" } else { "/a2a" }));
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
    let mut interfaces = vec![interface("JSONRPC", "1.0"), interface("JSONRPC", "0.3")];
    // The platform calls JSON-RPC alone, at the path where it expects it.
    if !is_platform {
        interfaces.insert(1, interface("HTTP+JSON", "1.0"));
    }
    let card = json!({
        "name": info.name,
        "description": description,
        "version": version,
        "supportedInterfaces": interfaces,
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

/// The URL of a path for the caller of a request, which reaches the agent by this host.
fn url_of(headers: &HeaderMap, path: &str) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST.as_str()).unwrap_or("localhost");
    let scheme = match text("x-forwarded-proto") {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        _ => "http",
    };
    format!("{scheme}://{host}{path}")
}
