//! Proxies from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.

use http::uri::Scheme;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

use super::resolve::is_loopback;

/// How to reach a destination.
#[derive(Debug)]
pub(super) enum ProxyRoute {
    Direct,
    /// TLS through a tunnel of the proxy (`CONNECT`).
    Tunnel(Proxy),
    /// Plain requests to the proxy, with absolute URIs.
    Forward(Proxy),
}

/// A proxy and its credentials.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) uri: Uri,
    pub(super) credentials: Option<HeaderValue>,
}

/// The proxies of the environment.
pub(super) struct Proxies(Matcher);

impl Proxies {
    pub(super) fn from_env() -> Self {
        Self(Matcher::from_env())
    }

    pub(super) fn route(&self, destination: &Uri) -> ProxyRoute {
        // A proxy cannot reach a sandbox on this machine.
        if destination.host().is_none_or(is_loopback) {
            return ProxyRoute::Direct;
        }
        let Some(found) = self.0.intercept(destination) else {
            return ProxyRoute::Direct;
        };
        let credentials = found.basic_auth().cloned().map(|mut value| {
            value.set_sensitive(true);
            value
        });
        let proxy = Proxy {
            uri: found.uri().clone(),
            credentials,
        };
        if destination.scheme() == Some(&Scheme::HTTPS) {
            ProxyRoute::Tunnel(proxy)
        } else {
            ProxyRoute::Forward(proxy)
        }
    }
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The matcher contains the passwords of the proxies.
        f.write_str("Proxies")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_selects_the_proxy_and_loopback_is_direct() {
        let proxies = Proxies(
            Matcher::builder()
                .http("http://plain.example:3128")
                .https("http://user:pass@tunnel.example:3128")
                .no("internal.example")
                .build(),
        );
        let route = |uri: &'static str| proxies.route(&Uri::from_static(uri));
        let ProxyRoute::Tunnel(proxy) = route("https://api.example/") else {
            panic!("https is tunnelled");
        };
        assert_eq!(proxy.uri.host(), Some("tunnel.example"));
        assert!(proxy.credentials.expect("given in the URL").is_sensitive());
        assert!(matches!(
            route("http://api.example/"),
            ProxyRoute::Forward(_)
        ));
        assert!(matches!(
            route("https://x.internal.example/"),
            ProxyRoute::Direct
        ));
        assert!(matches!(
            route("http://8080-a.localhost:3000/"),
            ProxyRoute::Direct
        ));
    }
}
