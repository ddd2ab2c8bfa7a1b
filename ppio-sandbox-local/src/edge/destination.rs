//! Reads from a request which sandbox and port it is for.

use axum::body::Body;
use axum::http::{Request, header};

use crate::api::ApiError;
use crate::envd;
use crate::host_name::from_host;
use crate::identity::{is_sandbox_id, without_client_id};
use crate::sandbox::SandboxRegistry;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Destination {
    ControlPlane,
    Sandbox { id: String, port: u16 },
}

impl Destination {
    /// The host name decides, then the headers, then, for calls of the daemon, the access token:
    /// after a `connect` the Python SDK sends only the token.
    ///
    /// # Errors
    ///
    /// A header that names a sandbox or a port is malformed.
    pub(super) fn of(
        request: &Request<Body>,
        sandboxes: &SandboxRegistry,
    ) -> Result<Self, ApiError> {
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        if let Some((port, id)) = host.and_then(from_host) {
            return Ok(Self::Sandbox {
                id: id.to_owned(),
                port,
            });
        }
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap_or_default())
        };
        for family in ["ppio", "e2b"] {
            if let Some(id) = header(&format!("{family}-sandbox-id")) {
                let id = without_client_id(id);
                if !is_sandbox_id(id) {
                    return Err(ApiError::bad_request(
                        "the sandbox id header is malformed: a sandbox id is letters and digits",
                    ));
                }
                let port = match header(&format!("{family}-sandbox-port")).map(str::parse) {
                    None => envd::PORT,
                    Some(Ok(port)) => port,
                    Some(Err(_)) => {
                        return Err(ApiError::bad_request(
                            "the sandbox port header is not a port",
                        ));
                    }
                };
                // The Python SDK sends these headers with its `connect` to the control plane too.
                if port == envd::PORT && !envd::serves(request.uri().path()) {
                    return Ok(Self::ControlPlane);
                }
                return Ok(Self::Sandbox {
                    id: id.to_owned(),
                    port,
                });
            }
        }
        if envd::serves(request.uri().path())
            && let Some(sandbox) =
                header("x-access-token").and_then(|token| sandboxes.by_access_token(token))
        {
            return Ok(Self::Sandbox {
                id: sandbox.id.clone(),
                port: envd::PORT,
            });
        }
        Ok(Self::ControlPlane)
    }

    /// Whether the platform answers, and not a program in a sandbox.
    pub(super) fn is_platform(&self) -> bool {
        match self {
            Self::ControlPlane => true,
            Self::Sandbox { port, .. } => *port == envd::PORT,
        }
    }
}
