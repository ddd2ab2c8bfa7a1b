//! Errors from an agent's unsuccessful responses.

use std::time::Duration;

use http::StatusCode;
use ppio_agent_protocol::InvocationResponse;
use serde_json::Value;

use super::response::AgentResponse;
use crate::error::Error;
use crate::platform::{SandboxState, error_message};
use crate::transport::retry_after;

/// The time limit of the lookup of a sandbox's state; after it, the agent's response decides.
const STATE_LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the error. Where the status may mean that the sandbox is not running, its state is looked
/// up at the platform.
pub(super) async fn invocation_error(response: AgentResponse) -> Error {
    let status = response.response.status();
    let retry_after = retry_after(response.response.headers());
    let session = response.session.clone();
    let deadline = response.deadline;
    let request_id = response.request_id.clone();
    // Without its body, the status still says enough.
    let body = response.read_start().await.unwrap_or_default();
    if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::NOT_FOUND) {
        let info = deadline
            .at_most(STATE_LOOKUP_TIMEOUT)
            .run("get sandbox", session.info())
            .await;
        match info.and_then(|info| info).map(|info| info.state) {
            Err(gone @ Error::SessionNotFound { .. }) => return gone,
            Ok(SandboxState::Paused) => {
                let paused = Error::Runtime {
                    operation: "invoke agent".to_owned(),
                    status: Some(status.as_u16()),
                    message: "it is paused, call resume() first".to_owned(),
                };
                return paused.with_operation("invoke the agent of", session.sandbox_id());
            }
            // It is running, or its state is unknown: the agent's response decides.
            Ok(_) | Err(_) => {}
        }
    }
    let envelope = serde_json::from_slice::<InvocationResponse<Value>>(&body).ok();
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
            error_type: envelope
                .as_ref()
                .and_then(|envelope| envelope.error_type.clone()),
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
