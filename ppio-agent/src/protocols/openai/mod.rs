//! `OpenAI`'s chat completions, responses and models.

mod completions;
mod content;
mod models;
mod responses;
mod tools;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::ProtocolAgent;
use crate::endpoints::runs::decoded;
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::json::to_bytes;
use crate::exchange::rejection::Rejection;

/// A path, with the id in it, which is still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route<'a> {
    Completions,
    Responses,
    Response(&'a str),
    CancelResponse(&'a str),
    InputItems(&'a str),
    Models,
    Model(&'a str),
}

impl<'a> Route<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let (collection, id) = match path.strip_prefix("/v1/")? {
            "chat/completions" => return Some(Self::Completions),
            path => path.split_once('/').unwrap_or((path, "")),
        };
        Some(match (collection, id.split_once('/')) {
            ("responses", None) if id.is_empty() => Self::Responses,
            ("responses", None) => Self::Response(id),
            ("responses", Some((id, "cancel"))) if !id.is_empty() => Self::CancelResponse(id),
            ("responses", Some((id, "input_items"))) if !id.is_empty() => Self::InputItems(id),
            ("models", None) if id.is_empty() => Self::Models,
            ("models", None) => Self::Model(id),
            _ => return None,
        })
    }

    fn allow(self) -> &'static str {
        match self {
            Self::Completions | Self::Responses | Self::CancelResponse(_) => "POST, OPTIONS",
            Self::Response(_) => "GET, DELETE, OPTIONS",
            Self::InputItems(_) | Self::Models | Self::Model(_) => "GET, HEAD, OPTIONS",
        }
    }
}

/// The operations of the protocol: method, path and summary.
#[cfg(feature = "schema")]
pub(super) const OPERATIONS: [(&str, &str, &str); 8] = [
    ("post", "/v1/chat/completions", "Creates a chat completion"),
    ("post", "/v1/responses", "Creates a response"),
    (
        "get",
        "/v1/responses/{id}",
        "Gets a response, or its stream",
    ),
    ("delete", "/v1/responses/{id}", "Deletes a response"),
    ("post", "/v1/responses/{id}/cancel", "Cancels a response"),
    ("get", "/v1/models", "Lists the models: the agent"),
    ("get", "/v1/models/{id}", "Gets a model"),
    (
        "get",
        "/v1/responses/{id}/input_items",
        "Lists the input of a response",
    ),
];

/// The methods of a path, if it is one of this protocol.
pub(super) fn allow(path: &str) -> Option<&'static str> {
    Route::of(path).map(Route::allow)
}

/// Answers a request.
pub(super) async fn answer(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let path = request.uri().path().to_owned();
    match Route::of(&path) {
        Some(Route::Completions) => completions::create(agent, exchange, request).await,
        Some(Route::Responses) => responses::create(agent, exchange, request).await,
        Some(Route::Response(id)) => {
            responses::answer(agent, exchange, &request.into_parts().0, &decoded(id)).await
        }
        Some(Route::CancelResponse(id)) => {
            responses::cancel(agent, exchange, &request.into_parts().0, &decoded(id)).await
        }
        Some(Route::InputItems(id)) => {
            responses::input_items::list(agent, &request.into_parts().0, &decoded(id))
        }
        Some(Route::Models) => Ok(models::list(agent)),
        Some(Route::Model(id)) => models::get(agent, &decoded(id)),
        None => Err(Rejection::no_route(&path).into()),
    }
}

/// The body of an error.
pub(super) fn error_body(failure: &Failure) -> Bytes {
    to_bytes(&json!({"error": error_json(failure)}))
}

fn error_json(failure: &Failure) -> Value {
    json!({
        "message": failure.message,
        "type": match failure.status {
            429 => "rate_limit_error",
            ..500 => "invalid_request_error",
            _ => "server_error",
        },
        "param": null,
        "code": failure.error_type,
    })
}

/// The error of a request that this protocol allows and an agent cannot answer.
fn unsupported(message: impl Into<String>) -> Error {
    Error::bad_request(message).with_type("UnsupportedParameter")
}

/// The error of a part of a request that has another type.
fn does_not_fit(place: &str, reason: &str) -> Error {
    Rejection::DoesNotFit {
        reason: reason.to_owned(),
        place: format!(" (at `{place}`)"),
    }
    .into()
}

/// Members of a request that `InvocationRequest` has under the same name, where the protocol has
/// another one for it.
fn without_own_names(mut members: Map<String, Value>) -> Map<String, Value> {
    for name in ["prompt", "messages", "user_id", "max_tokens"] {
        members.remove(name);
    }
    members
}

/// The seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_route() {
        for (path, route) in [
            ("/v1/chat/completions", Some(Route::Completions)),
            ("/v1/responses", Some(Route::Responses)),
            (
                "/v1/responses/resp_a%2Fb",
                Some(Route::Response("resp_a%2Fb")),
            ),
            ("/v1/responses/a/cancel", Some(Route::CancelResponse("a"))),
            ("/v1/models", Some(Route::Models)),
            ("/v1/models/hello", Some(Route::Model("hello"))),
            ("/v1/chat/completions/a", None),
            ("/v1/responses/a/input_items", Some(Route::InputItems("a"))),
            ("/v1/responses//input_items", None),
            ("/v1/responses/a/output_items", None),
            ("/v1/responses//cancel", None),
            ("/v1/models/a/b", None),
            ("/v1/", None),
            ("/v1", None),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
