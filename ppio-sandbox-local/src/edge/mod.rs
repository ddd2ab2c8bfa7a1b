//! Routes each request to the control plane, to the daemon of a sandbox, or to a port of a sandbox.

mod destination;
mod hosts;
mod request_checks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt as _;

use self::destination::Destination;
use crate::api::ApiError;
use crate::envd;
use crate::proxy::{self, unavailable};
use crate::sandbox::SandboxPhase;
use crate::shared::Shared;

pub(crate) use hosts::Hosts;

/// Answers every request that reaches the platform's port.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    shared: Arc<Shared>,
    control_plane: Router,
    envd: Router,
    hosts: Hosts,
}

impl Edge {
    pub(crate) fn new(shared: Arc<Shared>, hosts: Hosts) -> Self {
        let control_plane = crate::control_plane::router(Arc::clone(&shared));
        Self {
            shared,
            control_plane,
            envd: envd::router(),
            hosts,
        }
    }

    /// Whether requests for `host` are answered here.
    pub(crate) fn answers_for(&self, host: &str) -> bool {
        self.hosts.answers_for(host)
    }

    pub(crate) async fn answer(&self, request: Request<Body>) -> Response {
        if let Err(error) = request_checks::check_framing(&request) {
            let mut response = error.into_response();
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
            return response;
        }
        self.route(request)
            .await
            .unwrap_or_else(IntoResponse::into_response)
    }

    async fn route(&self, mut request: Request<Body>) -> Result<Response, ApiError> {
        request_checks::check(&mut request, &self.hosts)?;
        let target = Destination::of(&request, &self.shared.sandboxes)?;
        // A server in a sandbox decides itself which pages may call it.
        if target.is_platform() {
            request_checks::check_page(&request, &self.hosts)?;
        }
        Ok(match target {
            Destination::ControlPlane => {
                infallible(self.control_plane.clone().oneshot(request).await)
            }
            Destination::Sandbox { id, port } => self.answer_in_sandbox(&id, port, request).await,
        })
    }

    async fn answer_in_sandbox(&self, id: &str, port: u16, mut request: Request<Body>) -> Response {
        let Some(sandbox) = self.shared.sandboxes.get(id) else {
            return unavailable(
                id,
                None,
                "the sandbox was not found: it was killed, or its time is over",
            );
        };
        if sandbox.lifetime().phase == SandboxPhase::Paused {
            if !sandbox.auto_resume {
                return unavailable(
                    id,
                    None,
                    "the sandbox is paused: resume it or connect to it first",
                );
            }
            let timeout = Duration::from_secs(sandbox.timeout_seconds);
            if let Err(error) = sandbox.resume(timeout, None).await
                && sandbox.lifetime().phase != SandboxPhase::Running
            {
                return unavailable(
                    id,
                    None,
                    &format!("the sandbox is paused and did not resume: {error}"),
                );
            }
        }
        if port == envd::PORT {
            request.extensions_mut().insert(Arc::clone(&sandbox));
            return infallible(self.envd.clone().oneshot(request).await);
        }
        proxy::to_sandbox(&sandbox, port, request, &self.shared).await
    }
}

fn infallible(result: Result<Response, std::convert::Infallible>) -> Response {
    match result {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
