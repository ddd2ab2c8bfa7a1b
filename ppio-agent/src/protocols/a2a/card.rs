//! The agent card.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use http::header::{CACHE_CONTROL, ETAG, HOST, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use crate::exchange::body::Response;
use crate::exchange::json::{self, to_bytes};
use crate::exchange::platform::Platform;
use crate::protocols::{ProtocolAgent, call};

/// Answers with the card: the agent's name and skill, and the URL and the protocol bindings by
/// which the agent is called.
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
    // The platform calls only JSON-RPC, at `/`.
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
            "pushNotifications": true,
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
        // The members of version 0.3.
        "url": url,
        "preferredTransport": "JSONRPC",
        "protocolVersion": "0.3.0",
    });
    let body = to_bytes(&card);
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = headers.get(IF_NONE_MATCH).map(HeaderValue::as_bytes);
    let mut response = if known.is_some_and(|known| known == tag.as_bytes()) {
        call::not_modified()
    } else {
        json::response(StatusCode::OK, body)
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    // Unless the URL in the card is configured, it is built from these headers.
    headers.insert(VARY, HeaderValue::from_static("host, x-forwarded-proto"));
    response
}

/// Returns the URL of a path, with the host from the headers of the caller's request.
fn url_of(headers: &HeaderMap, path: &str) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST.as_str()).unwrap_or("localhost");
    let scheme = match text("x-forwarded-proto") {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        _ => "http",
    };
    format!("{scheme}://{host}{path}")
}
