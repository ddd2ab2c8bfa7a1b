//! Reads from a request which sandbox it is for, if for any.

use axum::body::Body;
use axum::http::{Request, header};

use crate::api_error::ApiError;
use crate::envd;
use crate::identity::{is_sandbox_id, without_client_id};
use crate::sandbox::Registry;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    ControlPlane,
    Sandbox { id: String, port: u16 },
}

impl Target {
    /// The host name decides, then the headers, then, for calls of the daemon, the access token:
    /// after a `connect` the Python SDK sends nothing else.
    ///
    /// # Errors
    ///
    /// A header that names a sandbox or a port holds something else.
    pub(super) fn of(request: &Request<Body>, sandboxes: &Registry) -> Result<Self, ApiError> {
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
                        "the sandbox id header holds something else: a sandbox id is letters and digits",
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

    /// Whether the platform itself answers, and not a program in a sandbox.
    pub(super) fn is_platform(&self) -> bool {
        match self {
            Self::ControlPlane => true,
            Self::Sandbox { port, .. } => *port == envd::PORT,
        }
    }
}

/// Takes `{port}-{id}` or `{port}-{id}-{clientID}` off the front of a host name.
pub(crate) fn from_host(host: &str) -> Option<(u16, &str)> {
    let (label, _domain) = host.split_once('.')?;
    let (port, id) = label.split_once('-')?;
    let id = without_client_id(id);
    let port = port.parse().ok()?;
    is_sandbox_id(id).then_some((port, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_carry_port_and_sandbox() {
        assert_eq!(from_host("8080-iabc.localhost:3000"), Some((8080, "iabc")));
        assert_eq!(
            from_host("49983-iabc-local.sandbox.ppio.cn"),
            Some((49983, "iabc"))
        );
        for host in [
            "localhost:3000",
            "127.0.0.1",
            "api.localhost",
            "99999-iabc.localhost",
            "8080-.localhost",
            "8080.localhost",
        ] {
            assert_eq!(from_host(host), None, "{host}");
        }
    }
}
