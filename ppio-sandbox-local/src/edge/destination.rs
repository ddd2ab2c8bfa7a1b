//! Reads from a request which sandbox and port it is for.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};

use crate::api::ApiError;
use crate::envd::{self, SignedLink};
use crate::host_name::from_host;
use crate::identity::{CLIENT_FAMILIES, is_sandbox_id, without_client_id};
use crate::sandbox::SandboxRegistry;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Destination {
    ControlPlane,
    Sandbox { id: String, port: u16 },
}

impl Destination {
    /// Finds the destination by the host name, else by the headers, else, for calls to the daemon,
    /// by the access token or the signature of a link. After a `connect` the Python SDK sends only
    /// the access token.
    ///
    /// # Errors
    ///
    /// If a header that names a sandbox or a port is malformed, or a signed link has expired, is
    /// ambiguous or was not signed for a sandbox that exists.
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
        for family in CLIENT_FAMILIES {
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
        // A signed link whose host does not name the sandbox.
        if let Some(link) = signed_link(request)? {
            let sandbox = sandboxes
                .list()
                .into_iter()
                .find(|sandbox| link.is_of(&sandbox.access_token));
            let sandbox = sandbox.ok_or_else(|| {
                ApiError::new(
                    StatusCode::UNAUTHORIZED,
                    "the signature of the link is not that of a sandbox: the sandbox is gone, or \
                     the link was changed",
                )
            })?;
            return Ok(Self::Sandbox {
                id: sandbox.id.clone(),
                port: envd::PORT,
            });
        }
        Ok(Self::ControlPlane)
    }

    /// Whether the platform itself answers the request, and not a program in a sandbox.
    pub(super) fn is_platform(&self) -> bool {
        match self {
            Self::ControlPlane => true,
            Self::Sandbox { port, .. } => *port == envd::PORT,
        }
    }
}

/// Reads the signed link of a request to the daemon that has no access token.
fn signed_link(request: &Request<Body>) -> Result<Option<SignedLink>, ApiError> {
    if !envd::serves(request.uri().path()) || request.headers().contains_key("x-access-token") {
        return Ok(None);
    }
    SignedLink::read(request.uri(), request.method().as_str())
}
