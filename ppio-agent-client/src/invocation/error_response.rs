//! Errors from an agent's unsuccessful responses.

use http::StatusCode;
use ppio_agent_protocol::InvocationResponse;
use serde::Deserialize as _;
use serde_json::Value;

use super::response::AgentResponse;
use crate::error::Error;
use crate::platform::error_message;
use crate::transport::retry_after;

/// Reads the error from the response. If the status may mean that the sandbox is not running, looks
/// up the sandbox on the platform.
pub(super) async fn invocation_error(response: AgentResponse) -> Error {
    let status = response.response.status();
    let retry_after = retry_after(response.response.headers());
    let session = response.session.clone();
    let deadline = response.deadline;
    let request_id = response.request_id.clone();
    // If the body cannot be read, the status is enough.
    let body = response.read_start().await.unwrap_or_default();
    let not_running = session.not_running(status.as_u16(), "invoke", deadline);
    if let Some(error) = not_running.await {
        return error;
    }
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let protocol_error = protocol_error(&json);
    let envelope = match protocol_error {
        Some(_) => None,
        None => InvocationResponse::<Value>::deserialize(&json).ok(),
    };
    let message = envelope
        .as_ref()
        .and_then(|envelope| envelope.error.clone())
        .or_else(|| error_message(&session.auth(), &body))
        .unwrap_or_else(|| {
            let reason = status.canonical_reason().unwrap_or("no explanation");
            reason.to_lowercase()
        });
    match status {
        StatusCode::UNAUTHORIZED => Error::Authentication {
            status: Some(status.as_u16()),
            message,
        },
        StatusCode::TOO_MANY_REQUESTS => Error::RateLimit {
            message,
            retry_after,
        },
        _ => Error::Invocation {
            sandbox_id: session.sandbox_id().to_owned(),
            status: Some(status.as_u16()),
            error_type: match &envelope {
                Some(envelope) => envelope.error_type.clone(),
                None => protocol_error.and_then(code),
            },
            request_id: Some(
                envelope
                    .as_ref()
                    .and_then(InvocationResponse::request_id)
                    .map_or(request_id, str::to_owned),
            ),
            message,
        },
    }
}

/// Returns the error in the body of a protocol other than that of `/invocations`:
/// `{"error": {"message", "code"}}` of OpenAI's protocol and JSON-RPC, or AG-UI's `RUN_ERROR`.
fn protocol_error(body: &Value) -> Option<&Value> {
    let error = if body["type"] == "RUN_ERROR" {
        body
    } else {
        &body["error"]
    };
    error.get("message").map(|_| error)
}

fn code(error: &Value) -> Option<String> {
    match &error["code"] {
        Value::String(code) => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    }
}
