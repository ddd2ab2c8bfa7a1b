//! Refuses requests of foreign web pages.
//!
//! A browser lets every page send requests to loopback ports. `Origin` names such a page. A page
//! whose host name resolves to 127.0.0.1 (DNS rebinding) has the agent's origin, but another
//! `Host`. The runtime has the same checks; those of this program also cover agents in Python, and
//! the time during which no agent runs.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Version, header};
use ppio_agent_protocol::environment;
use ppio_agent_protocol::host::{is_loopback, without_port};

use super::dot_env::Variables;

/// The runtime's setting for additional origins: separated by commas, `*` for all.
const ORIGINS: &str = "PPIO_AGENT_CORS_ORIGINS";
/// The runtime's setting for additional hosts, in the same form as [`ORIGINS`].
const HOSTS: &str = "PPIO_AGENT_ALLOWED_HOSTS";

/// The allowed origins and hosts, in addition to those of this machine.
#[derive(Debug, Default)]
pub(super) struct AllowedCallers {
    origins: Vec<String>,
    hosts: Vec<String>,
}

/// The reason why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CallerRefusal {
    pub(super) status: StatusCode,
    pub(super) error_type: &'static str,
    pub(super) message: String,
}

impl AllowedCallers {
    /// Reads the variables that the agent reads as well: those of the environment, otherwise
    /// `of_project`. Later changes of the variables have no effect.
    pub(super) fn new(of_project: &Variables) -> Self {
        let list = |name| {
            let text = environment::text(name).or_else(|| of_project.get(name).cloned());
            text.map_or_else(Vec::new, |text| listed(&text))
        };
        Self {
            origins: list(ORIGINS),
            hosts: list(HOSTS),
        }
    }

    pub(super) fn check(&self, request: &Request) -> Result<(), CallerRefusal> {
        self.check_host(request)?;
        self.check_origin(request.headers())
    }

    fn check_host(&self, request: &Request) -> Result<(), CallerRefusal> {
        let named: Vec<_> = request.headers().get_all(header::HOST).iter().collect();
        if named.len() != 1 && !(named.is_empty() && request.version() == Version::HTTP_10) {
            return Err(CallerRefusal {
                status: StatusCode::BAD_REQUEST,
                error_type: "BadRequest",
                message: format!("the request has {} Host headers, not one", named.len()),
            });
        }
        let named = named.first().map(|host| host.to_str().unwrap_or_default());
        // The target of a proxy request is absolute and names a host as well.
        let target = request.uri().authority().map(Authority::as_str);
        for host in [named, target].into_iter().flatten() {
            if !is_loopback(host) && !holds(&self.hosts, without_port(host)) {
                return Err(CallerRefusal {
                    status: StatusCode::MISDIRECTED_REQUEST,
                    error_type: "HostNotAllowed",
                    message: format!(
                        "the host {host:?} is not this machine; name it in {HOSTS} to allow it"
                    ),
                });
            }
        }
        Ok(())
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), CallerRefusal> {
        for origin in headers.get_all(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            let page = ["http://", "https://"]
                .into_iter()
                .find_map(|scheme| origin.strip_prefix(scheme));
            let is_local = page.is_some_and(is_loopback);
            if !is_local && !holds(&self.origins, origin) {
                return Err(CallerRefusal {
                    status: StatusCode::FORBIDDEN,
                    error_type: "OriginNotAllowed",
                    message: format!(
                        "pages of {origin:?} may not call the agent; name the origin in {ORIGINS} \
                         to allow it"
                    ),
                });
            }
        }
        Ok(())
    }
}

fn listed(text: &str) -> Vec<String> {
    let names = text.split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(|name| name.trim_end_matches('/').to_owned())
        .collect()
}

fn holds(names: &[String], name: &str) -> bool {
    let mut names = names.iter();
    names.any(|other| other == "*" || other.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn check(callers: &AllowedCallers, target: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let refusal = callers.check(&request).err()?;
        Some(refusal.status.as_u16())
    }

    #[test]
    fn names_and_addresses_of_this_machine_are_allowed() {
        let callers = AllowedCallers::default();
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:8080",
            "8080-sbx.localhost:3000",
        ] {
            assert_eq!(check(&callers, "/", &[("host", host)]), None, "{host}");
            for scheme in ["http", "https"] {
                let origin = format!("{scheme}://{host}");
                let headers = [("host", "localhost"), ("origin", &*origin)];
                assert_eq!(check(&callers, "/", &headers), None, "{origin}");
            }
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "evillocalhost",
            ".localhost",
            "a@b.localhost",
            "127.0.0.1.nip.io",
            "0.0.0.0",
            "192.168.0.1:8080",
            "[::2]",
            "",
        ] {
            assert_eq!(check(&callers, "/", &[("host", host)]), Some(421), "{host}");
            let origin = format!("http://{host}");
            let headers = [("host", "localhost"), ("origin", &*origin)];
            assert_eq!(check(&callers, "/", &headers), Some(403), "{origin}");
        }
        for origin in ["null", "", "file://", "chrome-extension://abc"] {
            let headers = [("host", "localhost"), ("origin", origin)];
            assert_eq!(check(&callers, "/", &headers), Some(403), "{origin}");
        }
        let twice = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(check(&callers, "/", &twice), Some(400));
        assert_eq!(check(&callers, "/", &[]), Some(400));
        let proxied = check(&callers, "http://evil.example/", &[("host", "localhost")]);
        assert_eq!(proxied, Some(421));
    }

    #[test]
    fn the_environment_adds_hosts_and_origins() {
        let callers = AllowedCallers {
            origins: listed("https://app.example.com/, http://other.example"),
            hosts: listed("dev.example.com"),
        };
        let headers = |host, origin| [("host", host), ("origin", origin)];
        for (headers, refused) in [
            (
                headers("dev.example.com:80", "https://app.example.com"),
                None,
            ),
            (headers("localhost", "http://app.example.com"), Some(403)),
            (
                headers("app.example.com", "http://other.example"),
                Some(421),
            ),
        ] {
            assert_eq!(check(&callers, "/", &headers), refused, "{headers:?}");
        }
        let all = AllowedCallers {
            origins: listed("*"),
            hosts: listed("*"),
        };
        assert_eq!(check(&all, "/", &headers("a.example", "null")), None);
    }
}
