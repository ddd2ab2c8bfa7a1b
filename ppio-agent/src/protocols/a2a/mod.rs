//! A2A 1.0, and 0.3 for older callers: the agent card, JSON-RPC at `/a2a`, and REST below `/a2a`.
//!
//! A task is one run, or several runs if the agent requests an input. By default, a run continues
//! when its caller disconnects.

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

use self::failure::A2aError;
use self::operation::Operation;
pub(crate) use self::push::PushNotifications;
use self::push::PushOperation;
use super::ProtocolAgent;
use super::path_table::{Methods, Parameters, PathTable, ProtocolPath};
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;

/// How a request to a path of the protocol is answered.
#[derive(Clone, Copy)]
pub(super) enum A2aRoute {
    Card,
    JsonRpc,
    /// A REST operation, built from the parameters of the path. If the path has two operations, the
    /// function returns the operation of `GET`.
    Rest(for<'a> fn(Parameters<'a>) -> Operation<'a>),
}

/// The paths of the protocol. The rows with an operation after a colon come first, since `{id}`
/// also matches a colon.
pub(super) static PATHS: PathTable<A2aRoute> = PathTable(&[
    ProtocolPath::new(
        "/.well-known/agent-card.json",
        Methods::GetOrHead("Gets the agent card"),
        A2aRoute::Card,
    ),
    ProtocolPath::new(
        "/a2a",
        Methods::Post("Sends a JSON-RPC request"),
        A2aRoute::JsonRpc,
    )
    .allow_trailing_slash(),
    ProtocolPath::new(
        "/a2a/message:send",
        Methods::Post("Sends a message"),
        A2aRoute::Rest(|_| Operation::Send),
    ),
    ProtocolPath::new(
        "/a2a/message:stream",
        Methods::Post("Sends a message, and streams its task"),
        A2aRoute::Rest(|_| Operation::Stream),
    ),
    ProtocolPath::new(
        "/a2a/tasks",
        Methods::Get("Lists tasks"),
        A2aRoute::Rest(|_| Operation::List),
    ),
    ProtocolPath::new(
        "/a2a/tasks/{id}:cancel",
        Methods::Post("Cancels a task"),
        A2aRoute::Rest(|[task, _]| Operation::Cancel(task)),
    ),
    ProtocolPath::new(
        "/a2a/tasks/{id}:subscribe",
        Methods::GetOrPost {
            get: "Streams a task",
            post: "Streams a task",
        },
        A2aRoute::Rest(|[task, _]| Operation::Subscribe(task)),
    ),
    ProtocolPath::new(
        "/a2a/tasks/{id}",
        Methods::Get("Gets a task"),
        A2aRoute::Rest(|[task, _]| Operation::Get(task)),
    ),
    ProtocolPath::new(
        "/a2a/tasks/{id}/pushNotificationConfigs",
        Methods::GetOrPost {
            get: "Lists the receivers of a task",
            post: "Adds a receiver of a task",
        },
        A2aRoute::Rest(|[task, _]| Operation::Push(PushOperation::List(task))),
    ),
    ProtocolPath::new(
        "/a2a/tasks/{id}/pushNotificationConfigs/{config}",
        Methods::GetOrDelete {
            get: "Gets a receiver of a task",
            delete: "Removes a receiver of a task",
        },
        A2aRoute::Rest(|[task, config]| Operation::Push(PushOperation::Get(task, config))),
    ),
    ProtocolPath::new(
        "/a2a/extendedAgentCard",
        Methods::Get("Gets the extended agent card"),
        A2aRoute::Rest(|_| Operation::ExtendedCard),
    ),
]);

/// Returns the body of an error that occurs before a request of the protocol is read.
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
    match PATHS.find(&path) {
        Some((A2aRoute::Card, _)) => Ok(card::answer(agent, request.headers())),
        Some((A2aRoute::Rest(operation), parameters)) => {
            rest::answer(agent, exchange, request, operation(parameters)).await
        }
        // A platform calls JSON-RPC at a path that is not in the table.
        Some((A2aRoute::JsonRpc, _)) | None => rpc::answer(agent, exchange, request).await,
    }
}
