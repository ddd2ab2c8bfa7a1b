//! The host names of requests.

use axum::http::uri::Authority;

use crate::identity::{is_sandbox_id, without_client_id};

/// Reads the port and the sandbox id from a host name whose first label is `{port}-{id}` or
/// `{port}-{id}-{clientID}`. `None` for any other name, and for one without a domain.
pub(crate) fn from_host(host: &str) -> Option<(u16, &str)> {
    let (label, _domain) = host.split_once('.')?;
    let (port, id) = label.split_once('-')?;
    let id = without_client_id(id);
    let port = port.parse().ok()?;
    is_sandbox_id(id).then_some((port, id))
}

/// Parses a `Host` header. `None` when it is not a host name with an optional port.
pub(crate) fn host_of(header: &str) -> Option<Authority> {
    let authority: Authority = header.parse().ok()?;
    let is_plain = !authority.as_str().contains(['@', ',']) && !authority.host().is_empty();
    is_plain.then_some(authority)
}

pub(crate) fn normalized(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
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
