//! JSON-RPC at `/a2a`, and at `/` for a platform. The name of a method determines the version of
//! the protocol.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::failure::{A2aError, A2aErrorKind};
use super::operation::{Operation, perform};
use super::push::PushOperation;
use super::stream::Framing;
use super::version;
use super::wire::Version;
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::Error;
use crate::exchange::json::to_bytes;
use crate::protocols::{ProtocolAgent, call};

#[derive(Deserialize)]
struct A2aRequest {
    jsonrpc: Value,
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Value,
}

/// Answers a request.
pub(super) async fn answer(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let (parts, body) = call::read(request).await?;
    let request: Value = match call::parse(&body) {
        Ok(request) => request,
        Err(error) => {
            let error = A2aError::new(A2aErrorKind::InvalidJson, error.message());
            return Ok(error.rpc_response(&Value::Null));
        }
    };
    let id = match request.get("id") {
        Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
        _ => Value::Null,
    };
    match dispatch(agent, exchange, parts, request, &id).await {
        Ok(response) => Ok(response),
        Err(error) => Ok(error.rpc_response(&id)),
    }
}

async fn dispatch(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    parts: http::request::Parts,
    request: Value,
    id: &Value,
) -> Result<Response, A2aError> {
    if request.is_array() {
        let message = "batches are not supported; send one request at a time";
        return Err(A2aError::new(A2aErrorKind::InvalidRequest, message));
    }
    let request: A2aRequest = serde_json::from_value(request).map_err(|error| {
        A2aError::new(
            A2aErrorKind::InvalidRequest,
            format!("not a JSON-RPC request: {error}"),
        )
    })?;
    if request.jsonrpc != "2.0" {
        let message = "`jsonrpc` must be \"2.0\"";
        return Err(A2aError::new(A2aErrorKind::InvalidRequest, message));
    }
    if request.id.is_null() || *id != request.id {
        let message = "`id` must be a string or a number";
        return Err(A2aError::new(A2aErrorKind::InvalidRequest, message));
    }
    let (version, operation) = method(&request.method)?;
    let place = format!("`{}`", request.method);
    version::check(version::stated(&parts)?, version, &place)?;
    let params = match request.params {
        Value::Null => Value::Object(Map::new()),
        params @ Value::Object(_) => params,
        _ => {
            let message = "`params` must be an object";
            return Err(A2aError::new(A2aErrorKind::InvalidParams, message));
        }
    };
    let framing = Framing::rpc(version, id);
    let outcome = perform(agent, exchange, parts, operation, params, framing).await?;
    Ok(outcome.respond(|result| to_bytes(&json!({"jsonrpc": "2.0", "id": id, "result": result}))))
}

fn method(name: &str) -> Result<(Version, Operation<'static>), A2aError> {
    let found = match name {
        "SendMessage" => (Version::V1, Operation::Send),
        "SendStreamingMessage" => (Version::V1, Operation::Stream),
        "GetTask" => (Version::V1, Operation::Get("")),
        "ListTasks" => (Version::V1, Operation::List),
        "CancelTask" => (Version::V1, Operation::Cancel("")),
        "SubscribeToTask" => (Version::V1, Operation::Subscribe("")),
        "GetExtendedAgentCard" => (Version::V1, Operation::ExtendedCard),
        "CreateTaskPushNotificationConfig" => {
            (Version::V1, Operation::Push(PushOperation::Create("")))
        }
        "GetTaskPushNotificationConfig" => {
            (Version::V1, Operation::Push(PushOperation::Get("", "")))
        }
        "ListTaskPushNotificationConfigs" => {
            (Version::V1, Operation::Push(PushOperation::List("")))
        }
        "DeleteTaskPushNotificationConfig" => {
            (Version::V1, Operation::Push(PushOperation::Delete("", "")))
        }
        "message/send" => (Version::V0_3, Operation::Send),
        "message/stream" => (Version::V0_3, Operation::Stream),
        "tasks/get" => (Version::V0_3, Operation::Get("")),
        "tasks/cancel" => (Version::V0_3, Operation::Cancel("")),
        "tasks/resubscribe" => (Version::V0_3, Operation::Subscribe("")),
        "agent/getAuthenticatedExtendedCard" => (Version::V0_3, Operation::ExtendedCard),
        "tasks/pushNotificationConfig/set" => {
            (Version::V0_3, Operation::Push(PushOperation::Create("")))
        }
        "tasks/pushNotificationConfig/get" => {
            (Version::V0_3, Operation::Push(PushOperation::Get("", "")))
        }
        "tasks/pushNotificationConfig/list" => {
            (Version::V0_3, Operation::Push(PushOperation::List("")))
        }
        "tasks/pushNotificationConfig/delete" => (
            Version::V0_3,
            Operation::Push(PushOperation::Delete("", "")),
        ),
        _ => {
            let name: String = name.chars().take(64).collect();
            let message = format!("there is no method {name:?}");
            return Err(A2aError::new(A2aErrorKind::MethodNotFound, message));
        }
    };
    Ok(found)
}
