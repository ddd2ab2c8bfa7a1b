//! `/invocations/{id}` and the paths below it: the state, the events and the answer of a run.

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode, Uri};
use ppio_agent_protocol::RunStatus;

use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::context::session_header;
use crate::exchange::error::Error;
use crate::exchange::header_names::LAST_EVENT_ID;
use crate::exchange::json;
use crate::exchange::rejection::Rejection;
use crate::invocation::Invoker;
use crate::runs::registry::RunRegistry;
use crate::runs::{self, view};

/// The maximum number of runs in a list without `limit`.
const DEFAULT_LIMIT: usize = 100;
/// The largest `limit`.
const MAX_LIMIT: usize = 10_000;

/// A path below `/invocations/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunRoute {
    /// `/invocations/{id}`.
    State,
    /// `/invocations/{id}/events`.
    Events,
    /// `/invocations/{id}/response`.
    Response,
}

impl RunRoute {
    /// Returns the route of a path, and the id in it, which is still percent-encoded.
    pub(crate) fn of(path: &str) -> Option<(Self, &str)> {
        let rest = path.strip_prefix("/invocations/")?;
        let (route, id) = if let Some(id) = rest.strip_suffix("/events") {
            (Self::Events, id)
        } else if let Some(id) = rest.strip_suffix("/response") {
            (Self::Response, id)
        } else {
            (Self::State, rest)
        };
        (!id.is_empty()).then_some((route, id))
    }

    /// Returns the methods of the route, as the value of an `Allow` header.
    pub(crate) fn allow(self) -> &'static str {
        match self {
            Self::State => "GET, HEAD, DELETE, OPTIONS",
            Self::Events | Self::Response => "GET, OPTIONS",
        }
    }

    pub(crate) fn has(self, method: &Method) -> bool {
        *method == Method::GET
            || self == Self::State && (*method == Method::HEAD || *method == Method::DELETE)
    }
}

/// Answers `GET /invocations` with the newest runs of the caller.
pub(crate) fn list(runs: &RunRegistry, request: &Request) -> Result<Response, Error> {
    let limit = match parameter(request.uri(), "limit") {
        None => DEFAULT_LIMIT,
        Some(text) => number(text)
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| invalid("limit", text, "a number from 1 to 10000"))?,
    };
    let status = match parameter(request.uri(), "status") {
        None => None,
        Some(text) => {
            let expected = "`running`, `success`, `error`, `cancelled` or `interrupted`";
            let status: Result<RunStatus, _> = text.parse();
            Some(status.map_err(|_| invalid("status", text, expected))?)
        }
    };
    let headers = request.headers();
    let caller = runs.caller(headers, session_header(headers));
    let views = runs.list(&caller, status, limit)?;
    let response = json::response(StatusCode::OK, view::list(&views));
    Ok(runs::no_store(response))
}

/// Answers a request for one run.
pub(crate) async fn answer(
    runs: &Arc<RunRegistry>,
    invoker: &Invoker,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let (parts, _) = request.into_parts();
    let headers = &parts.headers;
    let path = parts.uri.path();
    let (route, id) = RunRoute::of(path).unwrap_or((RunRoute::State, ""));
    let run = runs::find(runs, headers, &decoded(id))?;
    match route {
        RunRoute::Events => {
            let last = last_event_id(headers, &parts.uri)?;
            Ok(runs::resume(&run, exchange, invoker, last)?)
        }
        RunRoute::Response => Ok(runs::replay(&run, exchange, invoker, headers).await?),
        RunRoute::State => {
            if parts.method == Method::DELETE {
                run.cancel_recorded("by a caller").await;
            }
            let response = json::response(StatusCode::OK, run.to_json());
            Ok(runs::no_store(response))
        }
    }
}

/// Returns the id of the last event that the caller has received; 0 for none. `Last-Event-ID` takes
/// precedence over the query parameter: browsers send this header when they reconnect, so its id is
/// newer.
fn last_event_id(headers: &HeaderMap, uri: &Uri) -> Result<u64, Rejection> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let found = match (values.next(), values.next()) {
        (None, _) => match parameter(uri, "last_event_id") {
            None => return Ok(0),
            Some(text) => text.as_bytes(),
        },
        (Some(value), None) => value.as_bytes(),
        (Some(_), Some(_)) => b"(several)",
    };
    let id = std::str::from_utf8(found).ok().and_then(number);
    id.ok_or_else(|| Rejection::InvalidEventId {
        found: String::from_utf8_lossy(found).chars().take(64).collect(),
    })
}

/// Parses a number without sign or space.
pub(crate) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Returns the first value of a query parameter.
pub(crate) fn parameter<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    uri.query()?
        .split('&')
        .find_map(|pair| match pair.split_once('=') {
            Some((key, value)) => (key == name).then_some(value),
            None => (pair == name).then_some(""),
        })
}

/// Returns the error for an invalid query parameter.
pub(crate) fn invalid(name: &'static str, found: &str, expected: &'static str) -> Rejection {
    Rejection::InvalidOption {
        name,
        found: found.chars().take(64).collect(),
        expected,
    }
}

/// Decodes the percent encoding in a segment of a path. The result for an invalid segment contains
/// a `%`, which no id has.
pub(crate) fn decoded(segment: &str) -> String {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => return segment.to_owned(),
            },
            _ => (byte, after),
        };
        decoded.push(byte);
        rest = after;
    }
    String::from_utf8(decoded).unwrap_or_else(|_| segment.to_owned())
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_route_and_an_id() {
        for (path, expected) in [
            ("/invocations/a", Some((RunRoute::State, "a"))),
            ("/invocations/a/events", Some((RunRoute::Events, "a"))),
            ("/invocations/a/response", Some((RunRoute::Response, "a"))),
            ("/invocations/a/b", Some((RunRoute::State, "a/b"))),
            (
                "/invocations/a%2Fevents",
                Some((RunRoute::State, "a%2Fevents")),
            ),
            ("/invocations/events", Some((RunRoute::State, "events"))),
            ("/invocations/", None),
            ("/invocations//events", None),
            ("/invocations", None),
            ("/invocationsx", None),
        ] {
            assert_eq!(RunRoute::of(path), expected, "{path}");
        }
    }

    #[test]
    fn an_id_is_decoded_once() {
        for (segment, id) in [
            ("a-1", "a-1"),
            ("a%2Fb%23", "a/b#"),
            ("%252F", "%2F"),
            ("%2", "%2"),
            ("%zz", "%zz"),
            ("%ff", "%ff"),
        ] {
            assert_eq!(decoded(segment), id);
        }
    }

    #[test]
    fn the_last_event_is_in_the_header_or_the_query() {
        let read = |headers: &[&str], uri: &str| {
            let mut map = HeaderMap::new();
            for value in headers {
                map.append(LAST_EVENT_ID, http::HeaderValue::from_str(value).unwrap());
            }
            last_event_id(&map, &uri.parse().unwrap()).ok()
        };
        assert_eq!(read(&[], "/x"), Some(0));
        assert_eq!(read(&["7"], "/x?last_event_id=5"), Some(7));
        assert_eq!(read(&[], "/x?a=1&last_event_id=5"), Some(5));
        for bad in ["", "-1", "+1", "1.0", "x", "1 ", "99999999999999999999999"] {
            assert_eq!(read(&[bad], "/x"), None, "{bad:?}");
        }
        assert_eq!(read(&["1", "1"], "/x"), None);
        assert_eq!(read(&[], "/x?last_event_id"), None);
        assert_eq!(read(&[], "/x?last_event_id=-1"), None);
    }
}
