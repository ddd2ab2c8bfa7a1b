//! The host names that the platform answers for, and the pages that may call it.
//!
//! A page on the internet can make a browser call loopback, either under a name of its own that
//! resolves to 127.0.0.1 (DNS rebinding) or as a request to another origin. Both can be recognised
//! by `Host` and `Origin`.

use axum::http::uri::Uri;
use ppio_agent_protocol::host::is_loopback;

use crate::host_name::{from_host, normalized};

/// The host names that the platform answers for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts {
    /// Names besides those of loopback, in lower case.
    allowed: Vec<String>,
}

impl Hosts {
    pub(crate) fn new(allowed: &[String]) -> Self {
        Self {
            allowed: allowed.iter().map(|name| normalized(name)).collect(),
        }
    }

    /// Whether the platform answers for `host`, a name or an address without its port: loopback,
    /// a name that was allowed, or `{port}-{id}` in any domain, as clients with a fixed domain
    /// send it.
    pub(super) fn answers_for(&self, host: &str) -> bool {
        self.is_own(host) || from_host(host).is_some()
    }

    /// Whether pages of `origin` may call the platform. Pages at the host name of a sandbox may
    /// not, because their code is not the user's.
    pub(super) fn trusts_page(&self, origin: &str) -> bool {
        let Ok(origin) = origin.parse::<Uri>() else {
            return false;
        };
        let is_web = matches!(origin.scheme_str(), Some("http" | "https"));
        is_web
            && origin
                .authority()
                .is_some_and(|authority| authority.as_str().find('@').is_none())
            && origin
                .host()
                .is_some_and(|host| self.is_own(host) && from_host(host).is_none())
    }

    pub(super) fn is_own(&self, host: &str) -> bool {
        let host = normalized(host);
        is_loopback(&host) || self.allowed.contains(&host)
    }
}
