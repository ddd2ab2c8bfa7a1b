//! Routes each request to the control plane, to the daemon of a sandbox, or to a port of a sandbox.

mod destination;
mod hosts;
mod request_checks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tower::ServiceExt as _;

use self::destination::Destination;
use crate::api::ApiError;
use crate::envd;
use crate::host_name::from_host;
use crate::identity::{CLIENT_FAMILIES, constant_time_eq, is_short_id};
use crate::proxy::{self, unavailable};
use crate::sandbox::{LocalSandbox, PauseKind, SandboxPhase};
use crate::shared::Shared;

pub(crate) use hosts::Hosts;

/// The port of `https://` URLs that name no port.
const HTTPS_PORT: u16 = 443;

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

    /// Whether a connection to `host` and `port` reaches this platform, which listens on
    /// `own_port`: `host` is a name of the platform, or that of a sandbox of a local platform in
    /// any domain, even if the sandbox no longer exists.
    pub(crate) fn is_reached_at(&self, host: &str, port: u16, own_port: u16) -> bool {
        match from_host(host) {
            Some((_, id)) if !self.hosts.is_own(host) => is_short_id('i', id),
            _ => self.hosts.is_own(host) && [own_port, HTTPS_PORT].contains(&port),
        }
    }

    pub(crate) async fn answer(&self, request: Request<Body>) -> Response {
        self.route(request)
            .await
            .unwrap_or_else(IntoResponse::into_response)
    }

    async fn route(&self, mut request: Request<Body>) -> Result<Response, ApiError> {
        request_checks::check(&mut request, &self.hosts)?;
        let target = Destination::of(&request, &self.shared.sandboxes)?;
        // The origin of a request to a server in a sandbox is checked by that server only.
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
                // E2B's clients match this text.
                "The sandbox was not found",
            );
        };
        if port != envd::PORT
            && let Err(error) = check_traffic_token(&sandbox, &mut request)
        {
            return error.into_response();
        }
        if sandbox.lifetime().phase == SandboxPhase::Paused {
            if !sandbox.auto_resume || sandbox.lifetime().paused == PauseKind::Files {
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

/// Refuses a request without the traffic token of a sandbox whose ports are not public. The server
/// in the sandbox does not get the traffic token.
fn check_traffic_token(
    sandbox: &LocalSandbox,
    request: &mut Request<Body>,
) -> Result<(), ApiError> {
    let mut is_known = sandbox.ingress.traffic_token.is_none();
    for family in CLIENT_FAMILIES {
        let sent = request
            .headers_mut()
            .remove(format!("{family}-traffic-access-token"));
        if let (Some(sent), Some(token)) = (sent, &sandbox.ingress.traffic_token) {
            is_known |= constant_time_eq(sent.as_bytes(), token.as_bytes());
        }
    }
    if is_known {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "the ports of this sandbox are not public: send `trafficAccessToken` of the answer that \
         created the sandbox as `E2b-Traffic-Access-Token`",
    ))
}

fn infallible(result: Result<Response, std::convert::Infallible>) -> Response {
    match result {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
