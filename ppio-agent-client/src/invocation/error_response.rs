//! What an agent's answer that is no success means.

use std::time::Duration;

use http::StatusCode;
use ppio_agent_protocol::InvocationResponse;
use serde_json::Value;

use super::response::Exchange;
use crate::error::Error;
use crate::platform::{SandboxState, error_message};
use crate::transport::retry_after;

/// How long the platform may take to say what became of a sandbox; the answer at hand is told then.
const LOOK: Duration = Duration::from_secs(5);

/// The error such an answer stands for. Where it may mean that the sandbox does not run, the
/// platform is asked instead of guessing.
pub(super) async fn explain(exchange: Exchange) -> Error {
    let status = exchange.response.status();
    let retry_after = retry_after(exchange.response.headers());
    let session = exchange.session.clone();
    let deadline = exchange.deadline;
    let request_id = exchange.request_id.clone();
    // A body that breaks off adds nothing to a status that says enough.
    let body = exchange.explanation().await.unwrap_or_default();
    if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::NOT_FOUND) {
        let asked = deadline
            .at_most(LOOK)
            .run("ask about", session.info())
            .await;
        match asked.and_then(|asked| asked).map(|info| info.state) {
            Err(gone @ Error::SessionNotFound { .. }) => return gone,
            Ok(SandboxState::Paused) => {
                let paused = Error::Runtime {
                    operation: "invoke agent".to_owned(),
                    status: Some(status.as_u16()),
                    message: "it is paused, call resume() first".to_owned(),
                };
                return paused.with_operation("invoke the agent of", session.sandbox_id());
            }
            // It runs, or nobody knows: the answer stands for itself.
            Ok(_) | Err(_) => {}
        }
    }
    let envelope = serde_json::from_slice::<InvocationResponse<Value>>(&body).ok();
    let said = envelope
        .as_ref()
        .and_then(|envelope| envelope.error.clone());
    let message = said
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
