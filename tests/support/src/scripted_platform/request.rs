//! Recorded requests.

use std::collections::HashMap;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

/// A complete request.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The route, in the form that [`script`](super::ScriptedPlatform::script) takes.
    pub route: String,
    /// The path and query as they were received.
    pub target: String,
    /// The headers, by lower-case name.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
    /// The id of the sandbox that the request is about or for.
    pub sandbox_id: Option<String>,
}

impl Recorded {
    /// Returns the body as JSON; null if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Returns a header; empty if it was not sent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Reads one request; `None` if the client disconnected.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Recorded> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    let path = target.split('?').next()?.to_owned();
    let (route, sandbox_id) = route(&method, &path, &headers);
    Some(Recorded {
        route,
        target,
        headers,
        body,
        sandbox_id,
    })
}

fn route(method: &str, path: &str, headers: &HashMap<String, String>) -> (String, Option<String>) {
    let host = headers.get("host").cloned().unwrap_or_default();
    let by_host = host
        .split('.')
        .next()
        .filter(|_| host.contains(".localhost"))
        .and_then(|label| label.split_once('-'))
        .map(|(port, id)| (port.to_owned(), id.to_owned()));
    let by_header = headers
        .get("ppio-sandbox-port")
        .cloned()
        .zip(headers.get("ppio-sandbox-id").cloned());
    if let Some((port, id)) = by_host.or(by_header) {
        let service = if port == "8080" { "agent" } else { "envd" };
        return (format!("{service} {method} {path}"), Some(id));
    }
    let mut parts: Vec<_> = path.split('/').collect();
    let index = parts
        .iter()
        .position(|part| *part == "sandboxes")
        .map(|index| index + 1);
    let id = index
        .and_then(|index| parts.get(index))
        .map(|id| (*id).to_owned());
    if let Some(index) = index.filter(|index| parts.len() > *index) {
        parts[index] = "{id}";
    }
    (format!("{method} {}", parts.join("/")), id)
}
