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
use super::path_table::{Methods, PathTable, ProtocolPath};
use crate::endpoints::runs::decoded;
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::json::to_bytes;
use crate::exchange::rejection::Rejection;

/// The route of a request to a path of the protocol.
#[derive(Clone, Copy)]
pub(super) enum OpenAiRoute {
    Completions,
    Responses,
    Response,
    CancelResponse,
    InputItems,
    Models,
    Model,
}

/// The paths of the protocol.
pub(super) static PATHS: PathTable<OpenAiRoute> = PathTable(&[
    ProtocolPath::new(
        "/v1/chat/completions",
        Methods::Post("Creates a chat completion"),
        OpenAiRoute::Completions,
    ),
    ProtocolPath::new(
        "/v1/responses",
        Methods::Post("Creates a response"),
        OpenAiRoute::Responses,
    )
    .allow_trailing_slash(),
    ProtocolPath::new(
        "/v1/responses/{id}",
        Methods::GetOrDelete {
            get: "Gets a response, or its stream",
            delete: "Deletes a response",
        },
        OpenAiRoute::Response,
    ),
    ProtocolPath::new(
        "/v1/responses/{id}/cancel",
        Methods::Post("Cancels a response"),
        OpenAiRoute::CancelResponse,
    ),
    ProtocolPath::new(
        "/v1/responses/{id}/input_items",
        Methods::GetOrHead("Lists the input of a response"),
        OpenAiRoute::InputItems,
    ),
    ProtocolPath::new(
        "/v1/models",
        Methods::GetOrHead("Lists the models: the agent"),
        OpenAiRoute::Models,
    )
    .allow_trailing_slash(),
    ProtocolPath::new(
        "/v1/models/{id}",
        Methods::GetOrHead("Gets a model"),
        OpenAiRoute::Model,
    ),
]);

/// Answers a request.
pub(super) async fn answer(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let path = request.uri().path().to_owned();
    let Some((route, [id, _])) = PATHS.find(&path) else {
        return Err(Rejection::no_route(&path).into());
    };
    match route {
        OpenAiRoute::Completions => completions::create(agent, exchange, request).await,
        OpenAiRoute::Responses => responses::create(agent, exchange, request).await,
        OpenAiRoute::Response => {
            responses::answer(agent, exchange, &request.into_parts().0, &decoded(id)).await
        }
        OpenAiRoute::CancelResponse => {
            responses::cancel(agent, exchange, &request.into_parts().0, &decoded(id)).await
        }
        OpenAiRoute::InputItems => {
            responses::input_items::list(agent, &request.into_parts().0, &decoded(id))
        }
        OpenAiRoute::Models => Ok(models::list(agent)),
        OpenAiRoute::Model => models::get(agent, &decoded(id)),
    }
}

/// Returns the body of an error response.
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

/// Returns the error for a request that the protocol allows but the agent cannot answer.
fn unsupported(message: impl Into<String>) -> Error {
    Error::bad_request(message).with_type("UnsupportedParameter")
}

/// Returns the error for a request's value at `place` that does not have the expected form.
fn does_not_fit(place: &str, reason: &str) -> Error {
    Rejection::DoesNotFit {
        reason: reason.to_owned(),
        place: format!(" (at `{place}`)"),
    }
    .into()
}

/// Removes the members of `InvocationRequest` for whose content the protocol has other members.
fn without_own_names(mut members: Map<String, Value>) -> Map<String, Value> {
    for name in ["prompt", "messages", "user_id", "max_tokens"] {
        members.remove(name);
    }
    members
}

/// Returns the seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
