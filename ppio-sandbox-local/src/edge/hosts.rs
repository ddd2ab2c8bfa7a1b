//! The host names under which the platform is reached, and the pages that may call it.
//!
//! A page on the internet can make a browser call loopback, under a name of its own that resolves
//! to 127.0.0.1 (DNS rebinding) or across origins. Both show in `Host` and `Origin`.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::uri::{Authority, Uri};

use super::target::from_host;

/// Which host names are answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts {
    /// Names beside those of loopback, in lower case.
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
    pub(crate) fn answers_for(&self, host: &str) -> bool {
        self.is_own(host) || from_host(host).is_some()
    }

    /// Whether pages of `origin` may call the platform. A page that a sandbox serves may not: its
    /// code is not the user's.
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

    fn is_own(&self, host: &str) -> bool {
        let host = normalized(host);
        is_loopback(&host) || self.allowed.contains(&host)
    }
}

/// The host of a `Host` header; `None` when the header holds something else.
pub(super) fn host_of(header: &str) -> Option<Authority> {
    let authority: Authority = header.parse().ok()?;
    let is_plain = !authority.as_str().contains(['@', ',']) && !authority.host().is_empty();
    is_plain.then_some(authority)
}

pub(super) fn normalized(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Names below `localhost` are loopback by RFC 6761.
pub(super) fn is_loopback(host: &str) -> bool {
    if host == "localhost" || host.ends_with(".localhost") {
        return true;
    }
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match address {
        Some(address) => address
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| address.is_loopback()),
        None => host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback()),
    }
}
