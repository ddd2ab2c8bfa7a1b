//! The front door: which requests are for the control plane, which for the daemon of a sandbox,
//! and which for a port of a sandbox.

mod port_conflict;
mod ports_of;
mod proxy;
mod target;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tower::ServiceExt as _;

use crate::api_error::ApiError;
use crate::envd;
use crate::sandbox::Phase;
use crate::shared::Shared;
use target::Target;

/// Answers every request that reaches the platform's port.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    shared: Arc<Shared>,
    control_plane: Router,
    envd: Router,
}

impl Edge {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let control_plane = crate::control_plane::router(Arc::clone(&shared));
        Self {
            shared,
            control_plane,
            envd: envd::router(),
        }
    }

    pub(crate) async fn answer(&self, mut request: Request<Body>) -> Response {
        let (id, port) = match Target::of(&request, &self.shared.sandboxes) {
            Target::ControlPlane => {
                return infallible(self.control_plane.clone().oneshot(request).await);
            }
            Target::Sandbox { id, port } => (id, port),
            Target::NoPort => {
                return ApiError::bad_request("the sandbox port header is not a port")
                    .into_response();
            }
        };
        let Some(sandbox) = self.shared.sandboxes.get(&id) else {
            return unavailable(
                &id,
                None,
                "the sandbox was not found: it was killed, or its time is over",
            );
        };
        if sandbox.life().phase == Phase::Paused {
            if !sandbox.auto_resume {
                return unavailable(
                    &id,
                    None,
                    "the sandbox is paused: resume it or connect to it first",
                );
            }
            let timeout = Duration::from_secs(sandbox.timeout_seconds);
            if let Err(error) = sandbox.resume(timeout, None).await
                && sandbox.life().phase != Phase::Running
            {
                return unavailable(
                    &id,
                    None,
                    &format!("the sandbox is paused and did not resume: {error}"),
                );
            }
        }
        if port == envd::PORT {
            request.extensions_mut().insert(Arc::clone(&sandbox));
            return infallible(self.envd.clone().oneshot(request).await);
        }
        proxy::forward(&sandbox, port, request, &self.shared.sandboxes).await
    }
}

fn infallible(result: Result<Response, std::convert::Infallible>) -> Response {
    match result {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// 502 is what clients take for "the sandbox is not running".
fn unavailable(id: &str, port: Option<u16>, message: &str) -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Unavailable<'a> {
        code: u16,
        message: &'a str,
        sandbox_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
    }
    let status = StatusCode::BAD_GATEWAY;
    let body = Unavailable {
        code: status.as_u16(),
        message,
        sandbox_id: id,
        port,
    };
    (status, axum::Json(body)).into_response()
}

/// Whether a host is one that this platform answers for.
pub(crate) fn is_ours(host: &str) -> bool {
    target::from_host(host).is_some() || ["localhost", "127.0.0.1", "api.localhost"].contains(&host)
}
