//! A2A 1.0, and 0.3 for older callers: the agent card, JSON-RPC at `/a2a`, and REST below it.
//!
//! A task is a run, which continues when its caller leaves.

mod card;
mod failure;
mod list;
mod message;
mod operation;
mod push;
mod rest;
mod rpc;
mod start;
mod stream;
mod task;
mod version;
mod wire;

use bytes::Bytes;
use http::Method;

use self::failure::A2aError;
use self::operation::Operation;
pub(crate) use self::push::PushNotifications;
use super::ProtocolAgent;
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::rejection::Rejection;

const CARD: &str = "/.well-known/agent-card.json";

/// The operations of the protocol: method, path and summary.
#[cfg(feature = "schema")]
pub(super) const OPERATIONS: [(&str, &str, &str); 13] = [
    ("get", "/.well-known/agent-card.json", "Gets the agent card"),
    ("post", "/a2a", "Sends a JSON-RPC request"),
    ("post", "/a2a/message:send", "Sends a message"),
    (
        "post",
        "/a2a/message:stream",
        "Sends a message, and streams its task",
    ),
    ("get", "/a2a/tasks", "Lists tasks"),
    ("get", "/a2a/tasks/{id}", "Gets a task"),
    ("post", "/a2a/tasks/{id}:cancel", "Cancels a task"),
    ("get", "/a2a/tasks/{id}:subscribe", "Streams a task"),
    ("post", "/a2a/tasks/{id}:subscribe", "Streams a task"),
    (
        "get",
        "/a2a/tasks/{id}/pushNotificationConfigs",
        "Lists the receivers of a task",
    ),
    (
        "post",
        "/a2a/tasks/{id}/pushNotificationConfigs",
        "Adds a receiver of a task",
    ),
    (
        "get",
        "/a2a/tasks/{id}/pushNotificationConfigs/{config}",
        "Gets a receiver of a task",
    ),
    (
        "delete",
        "/a2a/tasks/{id}/pushNotificationConfigs/{config}",
        "Removes a receiver of a task",
    ),
];

/// The methods of a path, if it is one of this protocol.
pub(super) fn allow(path: &str) -> Option<&'static str> {
    match path {
        CARD => Some("GET, HEAD, OPTIONS"),
        "/a2a" | "/a2a/" => Some("POST, OPTIONS"),
        path => Operation::of(path).map(Operation::allow),
    }
}

/// The body of an error that no request of the protocol was read for.
pub(super) fn error_body(failure: &Failure) -> Bytes {
    A2aError::of(failure).rpc_body(&serde_json::Value::Null)
}

/// Answers a request.
pub(super) async fn answer(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let path = request.uri().path().to_owned();
    if path == CARD {
        return Ok(card::answer(agent, request.headers()));
    }
    match Operation::of(&path) {
        Some(operation) => rest::answer(agent, exchange, request, operation).await,
        None if request.method() == Method::POST => rpc::answer(agent, exchange, request).await,
        None => Err(Rejection::no_route(&path).into()),
    }
}
