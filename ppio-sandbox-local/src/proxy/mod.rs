//! Forwards requests to the ports of sandboxes.

mod dial;
mod forward;
mod port_conflict;
mod port_owner;
mod tunnel;
mod unavailable;

use std::sync::Arc;

use axum::body::Body;
use axum::http::uri::{Authority, Uri};
use axum::http::{HeaderMap, HeaderValue, Request, Response, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ppio_agent_protocol::START_COMMAND_ENDED;
use ppio_agent_protocol::host::is_loopback;

use self::port_conflict::PortConflict;
use crate::home::ApiKey;
use crate::identity::CLIENT_FAMILIES;
use crate::sandbox::{LocalSandbox, SandboxRegistry};
use crate::shared::Shared;

pub use self::forward::forward;
pub(crate) use self::unavailable::unavailable;
use self::unavailable::unavailable_because;

pub(crate) async fn to_sandbox(
    sandbox: &Arc<LocalSandbox>,
    port: u16,
    mut request: Request<Body>,
    shared: &Shared,
) -> Response<Body> {
    let Some(stream) = dial::connect(sandbox, port).await else {
        return closed_port(sandbox, port, &shared.sandboxes).await;
    };
    // The edge routed the request by these headers; servers in a sandbox do not get them.
    for family in CLIENT_FAMILIES {
        for name in ["id", "port"] {
            request
                .headers_mut()
                .remove(format!("{family}-sandbox-{name}"));
        }
    }
    match sandbox
        .ingress
        .host_mask
        .as_ref()
        .and_then(|mask| mask.host(port))
    {
        Some(host) => replace_host(&mut request, host),
        None => use_loopback_host(&mut request, &sandbox.id, port),
    }
    remove_key(request.headers_mut(), &shared.key);
    match forward(stream, request, ()).await {
        Ok(response) => response,
        Err(error) => unavailable(
            &sandbox.id,
            Some(port),
            &format!("the sandbox did not answer: {error}"),
        ),
    }
}

/// Replaces a host that is not a name of this machine: servers on loopback, agents among them,
/// refuse foreign hosts (DNS rebinding).
fn use_loopback_host(request: &mut Request<Body>, id: &str, port: u16) {
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.clone()),
        None => request
            .headers()
            .get(header::HOST)
            .and_then(|host| Authority::try_from(host.as_bytes()).ok()),
    };
    if host.is_some_and(|host| is_loopback(host.host())) {
        return;
    }
    if let Ok(host) = HeaderValue::try_from(format!("{port}-{id}.localhost")) {
        replace_host(request, host);
    }
}

fn replace_host(request: &mut Request<Body>, host: HeaderValue) {
    request.headers_mut().insert(header::HOST, host);
    // A host in the request line would take precedence.
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
}

async fn closed_port(
    sandbox: &Arc<LocalSandbox>,
    port: u16,
    sandboxes: &Arc<SandboxRegistry>,
) -> Response<Body> {
    let (closed, all) = (Arc::clone(sandbox), Arc::clone(sandboxes));
    let conflict =
        tokio::task::spawn_blocking(move || PortConflict::find(&closed, port, &all)).await;
    let ended = sandbox.ended_start_command().await;
    let error_type = ended.as_ref().map(|_| START_COMMAND_ENDED);
    let message = match (conflict, ended) {
        (Ok(Some(conflict)), ended) => {
            conflict.log(sandbox);
            let ended = ended.map(|ended| format!("; {ended}"));
            format!("{conflict}{}", ended.unwrap_or_default())
        }
        (_, Some(ended)) => ended,
        (_, None) => format!("the sandbox is running, but nothing in it listens on port {port}"),
    };
    unavailable_because(&sandbox.id, Some(port), &message, error_type)
}

/// Removes every header value that contains the platform's API key. Clients send the key with all
/// requests, and an agent could control the platform with it.
fn remove_key(headers: &mut HeaderMap, key: &ApiKey) {
    let names: Vec<_> = headers.keys().cloned().collect();
    for name in names {
        if !headers
            .get_all(&name)
            .iter()
            .any(|value| holds_key(value, key))
        {
            continue;
        }
        let kept: Vec<HeaderValue> = headers
            .get_all(&name)
            .iter()
            .filter(|value| !holds_key(value, key))
            .cloned()
            .collect();
        headers.remove(&name);
        for value in kept {
            headers.append(name.clone(), value);
        }
    }
}

fn holds_key(value: &HeaderValue, key: &ApiKey) -> bool {
    let text = String::from_utf8_lossy(value.as_bytes());
    if holds_key_text(&text, key) {
        return true;
    }
    // Basic credentials.
    text.split_ascii_whitespace()
        .filter_map(|part| STANDARD.decode(part).ok())
        .any(|decoded| holds_key_text(&String::from_utf8_lossy(&decoded), key))
}

fn holds_key_text(text: &str, key: &ApiKey) -> bool {
    let separators = |character: char| character.is_whitespace() || ",;:=\"".contains(character);
    text.split(separators).any(|part| key.matches(part))
}
