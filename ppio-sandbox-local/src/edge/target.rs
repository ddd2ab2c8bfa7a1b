//! Reads from a request which sandbox it is for, if for any.

use axum::body::Body;
use axum::http::{Request, header};

use crate::envd;
use crate::identity::without_client_id;
use crate::sandbox::Registry;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    ControlPlane,
    Sandbox {
        id: String,
        port: u16,
    },
    /// The header that names the port holds something else.
    NoPort,
}

impl Target {
    /// The host name decides, then the headers, then, for calls of the daemon, the access token:
    /// after a `connect` the Python SDK sends nothing else.
    pub(super) fn of(request: &Request<Body>, sandboxes: &Registry) -> Self {
        let host = request.uri().host().or_else(|| {
            request
                .headers()
                .get(header::HOST)
                .and_then(|host| host.to_str().ok())
        });
        if let Some((port, id)) = host.and_then(from_host) {
            return Self::Sandbox {
                id: id.to_owned(),
                port,
            };
        }
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        for family in ["ppio", "e2b"] {
            if let Some(id) = header(&format!("{family}-sandbox-id")) {
                let port = match header(&format!("{family}-sandbox-port")).map(str::parse) {
                    None => envd::PORT,
                    Some(Ok(port)) => port,
                    Some(Err(_)) => return Self::NoPort,
                };
                // The Python SDK sends these headers with its `connect` to the control plane too.
                if port == envd::PORT && !envd::serves(request.uri().path()) {
                    return Self::ControlPlane;
                }
                return Self::Sandbox {
                    id: without_client_id(id).to_owned(),
                    port,
                };
            }
        }
        if envd::serves(request.uri().path())
            && let Some(sandbox) =
                header("x-access-token").and_then(|token| sandboxes.by_access_token(token))
        {
            return Self::Sandbox {
                id: sandbox.id.clone(),
                port: envd::PORT,
            };
        }
        Self::ControlPlane
    }
}

/// Takes `{port}-{id}` or `{port}-{id}-{clientID}` off the front of a host name.
pub(crate) fn from_host(host: &str) -> Option<(u16, &str)> {
    let (label, _domain) = host.split_once('.')?;
    let (port, id) = label.split_once('-')?;
    let id = without_client_id(id);
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    Some((port.parse().ok()?, id))
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
