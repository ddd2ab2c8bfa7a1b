//! The generations of the protocol, and the headers that state the generation of a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::message::{JsonRpcError, RpcRequest};

/// All versions that the server supports.
pub(super) const VERSIONS: [&str; 4] = [STATELESS, "2025-11-25", "2025-06-18", BATCHES];

/// The version without `initialize`.
const STATELESS: &str = "2026-07-28";

/// The only version with batches, and the version of requests that do not state a version.
const BATCHES: &str = "2025-03-26";

/// The maximum number of messages in a batch; their answers are sent together.
const MAX_BATCH: usize = 100;

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The member of `_meta` with the version, which every request of the generation without
/// `initialize` contains.
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The member of `_meta` with the capabilities of the client, which every request of the generation
/// without `initialize` contains.
pub(super) const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// A generation of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    /// A client sends `initialize` before its requests, and the error of a method has the status
    /// 200. An invalid message or header has the status 400.
    Handshake,
    /// Every request has its version and the capabilities of its client in `_meta`; headers repeat
    /// the values by which proxies route.
    Stateless,
}

impl Generation {
    /// Checks the headers and `_meta` of a request, and returns its generation.
    pub(super) fn of(headers: &HeaderMap, request: &RpcRequest) -> Result<Self, JsonRpcError> {
        let version = single(headers, &PROTOCOL_VERSION)?;
        if request.meta(META_VERSION).is_none() && version != Some(STATELESS) {
            // The body of `initialize` has the version of the client.
            return match version {
                Some(version) if request.method != "initialize" => check_handshake(version),
                _ => Ok(Self::Handshake),
            };
        }
        let requested = request_version(request)?;
        if version != Some(requested) {
            return Err(mismatch(&PROTOCOL_VERSION, "the version in `_meta`"));
        }
        if single(headers, &METHOD)? != Some(&request.method) {
            return Err(mismatch(&METHOD, "`method`"));
        }
        if request.method == "tools/call"
            && let Some(name) = request.params.get("name").and_then(Value::as_str)
            && single(headers, &NAME)?.and_then(decode).as_deref() != Some(name)
        {
            return Err(mismatch(&NAME, "the name of the tool"));
        }
        if requested == STATELESS {
            Ok(Self::Stateless)
        } else {
            Err(JsonRpcError::unsupported_version(requested, &VERSIONS))
        }
    }

    /// Checks the headers of a notification, which is not answered in either generation.
    pub(super) fn check_notification(headers: &HeaderMap) -> Result<(), JsonRpcError> {
        match single(headers, &PROTOCOL_VERSION)? {
            None | Some(STATELESS) => Ok(()),
            Some(version) => check_handshake(version).map(drop),
        }
    }

    /// Checks that a batch is allowed and has a valid number of messages.
    pub(super) fn check_batch(headers: &HeaderMap, batch: &[Value]) -> Result<(), JsonRpcError> {
        let problem = match single(headers, &PROTOCOL_VERSION)? {
            None | Some(BATCHES) if batch.is_empty() => "the batch is empty; send a message",
            None | Some(BATCHES) if batch.len() > MAX_BATCH => {
                "the batch has more than 100 messages; send fewer"
            }
            None | Some(BATCHES) => return Ok(()),
            Some(_) => "only version 2025-03-26 has batches; send one message",
        };
        Err(JsonRpcError::invalid_request(problem))
    }
}

/// Returns the version that `initialize` returns: the client's version if it is supported and has
/// `initialize`, otherwise the newest version that has `initialize`.
pub(super) fn handshake_version(wanted: Option<&str>) -> &'static str {
    let mut served = VERSIONS[1..].iter();
    served
        .find(|&&version| wanted == Some(version))
        .unwrap_or(&VERSIONS[1])
}

fn check_handshake(version: &str) -> Result<Generation, JsonRpcError> {
    if VERSIONS.contains(&version) {
        Ok(Generation::Handshake)
    } else {
        Err(JsonRpcError::unsupported_version(version, &VERSIONS))
    }
}

/// Returns the version in `_meta`, which must also contain the capabilities.
fn request_version(request: &RpcRequest) -> Result<&str, JsonRpcError> {
    let version = request.meta(META_VERSION).and_then(Value::as_str);
    let Some(version) = version else {
        return Err(JsonRpcError::invalid_params(format!(
            "`params._meta` has no string {META_VERSION:?}"
        )));
    };
    if request
        .meta(META_CAPABILITIES)
        .is_some_and(Value::is_object)
    {
        Ok(version)
    } else {
        Err(JsonRpcError::invalid_params(format!(
            "`params._meta` has no object {META_CAPABILITIES:?}"
        )))
    }
}

/// Returns the value of a header. More than one value is refused, since a proxy may read a value
/// that the server does not read.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, JsonRpcError> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value.trim_ascii())),
        (Some(Err(_)), None) => Err(JsonRpcError::header_mismatch(format!(
            "the header {name} has characters outside of ASCII"
        ))),
        (Some(_), Some(_)) => Err(JsonRpcError::header_mismatch(format!(
            "the header {name} was sent more than once"
        ))),
    }
}

/// Decodes the text of a header, which may be in Base64: `=?base64?…?=`.
fn decode(header: &str) -> Option<String> {
    let encoded = header
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="));
    match encoded {
        None => Some(header.to_owned()),
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
    }
}

fn mismatch(header: &HeaderName, what: &str) -> JsonRpcError {
    JsonRpcError::header_mismatch(format!("the header {header} is missing or is not {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::message::object;
    use super::*;

    fn headers(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for &(name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        map
    }

    fn request(method: &str, params: Value) -> RpcRequest {
        RpcRequest {
            id: 1.into(),
            method: method.to_owned(),
            params: object(params),
        }
    }

    #[test]
    fn a_request_states_its_generation() {
        use Generation::{Handshake, Stateless};
        let meta = json!({"_meta": {META_VERSION: STATELESS, META_CAPABILITIES: {}}});
        let version = ("mcp-protocol-version", STATELESS);
        let list = ("mcp-method", "tools/list");
        let code = |code: i32| Err(code);
        for (name, given, params, expected) in [
            ("no version", &[][..], json!({}), Ok(Handshake)),
            (
                "an earlier version",
                &[("mcp-protocol-version", "2025-06-18")],
                json!({}),
                Ok(Handshake),
            ),
            (
                "an unknown version",
                &[("mcp-protocol-version", "2024-01-01")],
                json!({}),
                code(-32022),
            ),
            ("complete", &[version, list], meta.clone(), Ok(Stateless)),
            ("no method", &[version], meta.clone(), code(-32020)),
            ("no header", &[list], meta.clone(), code(-32020)),
            (
                "another header",
                &[("mcp-protocol-version", "2025-11-25"), list],
                meta.clone(),
                code(-32020),
            ),
            ("twice", &[version, version, list], meta, code(-32020)),
            ("no meta", &[version, list], json!({}), code(-32602)),
            (
                "no capabilities",
                &[version, list],
                json!({"_meta": {META_VERSION: STATELESS}}),
                code(-32602),
            ),
            (
                "a later version",
                &[("mcp-protocol-version", "2027-01-01"), list],
                json!({"_meta": {META_VERSION: "2027-01-01", META_CAPABILITIES: {}}}),
                code(-32022),
            ),
        ] {
            let found = Generation::of(&headers(given), &request("tools/list", params));
            let found = found.map_err(|error| {
                let code = error.to_json(&Value::Null)["error"]["code"].as_i64();
                i32::try_from(code.unwrap()).unwrap()
            });
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn the_name_of_the_tool_may_be_encoded() {
        for (header, matches) in [
            ("caf\u{65}", true),
            ("=?base64?Y2FmZQ==?=", true),
            ("=?base64?Y2FmZQ?=", false),
            ("=?base64?/w==?=", false),
            ("tea", false),
        ] {
            let mut map = headers(&[
                ("mcp-protocol-version", STATELESS),
                ("mcp-method", "tools/call"),
            ]);
            map.insert("mcp-name", header.parse().unwrap());
            let meta = json!({META_VERSION: STATELESS, META_CAPABILITIES: {}});
            let request = request("tools/call", json!({"name": "cafe", "_meta": meta}));
            assert_eq!(Generation::of(&map, &request).is_ok(), matches, "{header}");
        }
    }
}
