//! Proxies from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, also in lower case.

use std::ffi::OsString;

use http::uri::Scheme;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use ppio_agent_protocol::environment::{self, is_blank};
use ppio_agent_protocol::host::is_loopback;

/// The route to a destination.
#[derive(Debug)]
pub(super) enum ProxyRoute {
    Direct,
    /// A tunnel through the proxy (`CONNECT`), which https and upgrades use.
    Tunnel(Proxy),
    /// Plain requests to the proxy, with absolute URIs.
    Forward(Proxy),
}

/// A proxy and its credentials.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) uri: Uri,
    pub(super) credentials: Option<HeaderValue>,
    /// The variable that the proxy is configured with.
    pub(super) variable: &'static str,
}

/// A variable whose value is not a usable proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub(crate) struct InvalidProxy {
    pub(crate) variable: &'static str,
    /// Quotes the value, unless it contains credentials.
    pub(crate) problem: String,
}

/// The proxies of the environment.
pub(crate) struct Proxies {
    /// Contains a proxy for each scheme whose variable is set, or a placeholder if the variable is
    /// invalid.
    matcher: Matcher,
    http: Option<Setting>,
    https: Option<Setting>,
}

/// The variable for the destinations of a scheme.
struct Setting {
    variable: &'static str,
    /// The URL of the proxy, or the error in the value.
    proxy: Result<String, String>,
}

impl Proxies {
    pub(crate) fn from_env() -> Self {
        Self::read(environment::variable)
    }

    fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        // A web server passes its caller's `Proxy` header to a CGI program as `HTTP_PROXY`.
        let is_cgi = lookup("REQUEST_METHOD").is_some();
        let lookup = |name: &'static str| {
            let value = lookup(name).filter(|value| !is_cgi && !is_blank(value))?;
            Some((name, value))
        };
        let find = |names: [&'static str; 4]| {
            let (variable, value) = names.into_iter().find_map(lookup)?;
            Some(Setting::new(variable, value))
        };
        let http = find(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]);
        let https = find(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]);
        let excluded = ["NO_PROXY", "no_proxy"].into_iter().find_map(lookup);
        let excluded = excluded.map(|(_, value)| value.to_string_lossy().into_owned());
        Self {
            matcher: Matcher::builder()
                .http(http.as_ref().map_or("", Setting::url))
                .https(https.as_ref().map_or("", Setting::url))
                .no(excluded.unwrap_or_default())
                .build(),
            http,
            https,
        }
    }

    /// Returns an error if requests to `destination` would use a proxy whose variable is invalid.
    pub(crate) fn check(&self, destination: &Uri) -> Result<(), InvalidProxy> {
        self.route(destination).map(drop)
    }

    /// Returns the route to a destination.
    ///
    /// # Errors
    /// [`InvalidProxy`] if a proxy would be used and the value of its variable is not a usable
    /// proxy.
    pub(super) fn route(&self, destination: &Uri) -> Result<ProxyRoute, InvalidProxy> {
        // A proxy cannot reach a sandbox on this machine.
        if destination.host().is_none_or(is_loopback) {
            return Ok(ProxyRoute::Direct);
        }
        let is_https = destination.scheme() == Some(&Scheme::HTTPS);
        let setting = if is_https { &self.https } else { &self.http };
        let (Some(setting), Some(found)) = (setting, self.matcher.intercept(destination)) else {
            return Ok(ProxyRoute::Direct);
        };
        let variable = setting.variable;
        if let Err(problem) = &setting.proxy {
            let problem = problem.clone();
            return Err(InvalidProxy { variable, problem });
        }
        let credentials = found.basic_auth().cloned().map(|mut value| {
            value.set_sensitive(true);
            value
        });
        let proxy = Proxy {
            uri: found.uri().clone(),
            credentials,
            variable,
        };
        Ok(if is_https {
            ProxyRoute::Tunnel(proxy)
        } else {
            ProxyRoute::Forward(proxy)
        })
    }
}

impl Setting {
    fn new(variable: &'static str, value: OsString) -> Self {
        let proxy = match value.into_string() {
            Ok(value) => {
                let value = value.trim().to_owned();
                match problem(&value) {
                    None => Ok(value),
                    Some(problem) => Err(problem),
                }
            }
            Err(_) => Err("is not UTF-8 text".to_owned()),
        };
        Self { variable, proxy }
    }

    fn url(&self) -> &str {
        // With the placeholder, the matcher shows whether the proxy would be used.
        self.proxy.as_deref().unwrap_or("http://invalid.invalid")
    }
}

/// Returns the error in the URL of a proxy and the remedy, or `None` if the URL is valid.
fn problem(value: &str) -> Option<String> {
    let quoted = format!("{:?}", environment::url_without_secrets(value));
    let remedy = "write the URL like http://proxy.example.com:3128, or unset the variable";
    // The matcher accepts a host without a scheme.
    let probe = Uri::from_static("http://destination.invalid");
    let Some(found) = Matcher::builder().all(value).build().intercept(&probe) else {
        return Some(format!("{quoted} is not the URL of a proxy; {remedy}"));
    };
    let uri = found.uri();
    if let Some(scheme @ ("socks4" | "socks4a" | "socks5" | "socks5h")) = uri.scheme_str() {
        return Some(format!(
            "{scheme} proxies are not supported; use an HTTP proxy, or unset the variable"
        ));
    }
    let authority = uri.authority()?.as_str();
    let host = uri.host().unwrap_or_default();
    let has_port = authority.len() > host.len();
    if host.is_empty() || has_port && uri.port_u16().is_none_or(|port| port == 0) {
        return Some(format!("{quoted} has no valid host and port; {remedy}"));
    }
    None
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

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::read(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(found.1.into())
        })
    }

    fn route(proxies: &Proxies, uri: &'static str) -> Result<ProxyRoute, InvalidProxy> {
        proxies.route(&Uri::from_static(uri))
    }

    #[test]
    fn the_environment_selects_the_proxy_and_loopback_is_direct() {
        let proxies = proxies(&[
            ("HTTP_PROXY", "http://plain.example:3128"),
            ("https_proxy", "http://user:pass@tunnel.example:3128"),
            ("NO_PROXY", "internal.example"),
        ]);
        let Ok(ProxyRoute::Tunnel(proxy)) = route(&proxies, "https://api.example/") else {
            panic!("https is tunnelled");
        };
        assert_eq!(proxy.uri.host(), Some("tunnel.example"));
        assert_eq!(proxy.variable, "https_proxy");
        assert!(proxy.credentials.expect("given in the URL").is_sensitive());
        assert!(matches!(
            route(&proxies, "http://api.example/"),
            Ok(ProxyRoute::Forward(_))
        ));
        for direct in [
            "https://x.internal.example/",
            "http://8080-a.localhost:3000/",
        ] {
            assert!(
                matches!(route(&proxies, direct), Ok(ProxyRoute::Direct)),
                "{direct}"
            );
        }
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let destination = "https://api.example/";
        for (variables, host) in [
            (&[("HTTPS_PROXY", ""), ("https_proxy", "a:1")][..], "a"),
            (&[("HTTPS_PROXY", " "), ("all_proxy", "b:1")], "b"),
            (&[("https_proxy", "a:1"), ("ALL_PROXY", "b:1")], "a"),
            (
                &[("https_proxy", "a:1"), ("NO_PROXY", ""), ("no_proxy", "x")],
                "a",
            ),
            (&[("https_proxy", "a:1"), ("NO_PROXY", " \t")], "a"),
        ] {
            let found = route(&proxies(variables), destination);
            let Ok(ProxyRoute::Tunnel(proxy)) = found else {
                panic!("{variables:?}: {found:?}");
            };
            assert_eq!(proxy.uri.host(), Some(host), "{variables:?}");
        }
        for variables in [
            &[("HTTPS_PROXY", "")][..],
            &[("HTTP_PROXY", "a:1")],
            &[("HTTPS_PROXY", "a:1"), ("NO_PROXY", "*")],
            &[("HTTPS_PROXY", "a:1"), ("no_proxy", "example")],
            &[
                ("HTTPS_PROXY", "a:1"),
                ("NO_PROXY", " "),
                ("no_proxy", "example"),
            ],
            &[("HTTPS_PROXY", "nonsense://"), ("no_proxy", "api.example")],
            &[("HTTPS_PROXY", "a:1"), ("REQUEST_METHOD", "GET")],
        ] {
            let found = route(&proxies(variables), destination);
            assert!(matches!(found, Ok(ProxyRoute::Direct)), "{variables:?}");
        }
    }

    #[test]
    fn an_invalid_proxy_names_its_variable_and_no_password() {
        for value in [
            "ftp://proxy:3128",
            "http://",
            "http//proxy:3128",
            "proxy:port",
            "http://proxy:99999",
            "http://proxy:0",
            "proxy:",
            ":3128",
            "a b",
            "http://[::1",
            "socks5://proxy:1080",
            "http://user:secret@",
            "ftp://user:secret@proxy",
        ] {
            for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
                let proxies = proxies(&[(variable, value)]);
                let error = route(&proxies, "https://api.example/").expect_err(value);
                assert_eq!(error.variable, variable);
                assert!(error.problem.contains("unset the variable"), "{error}");
                assert!(!error.problem.contains("secret"), "{error}");
                // Destinations on this machine need no proxy.
                let local = route(&proxies, "https://localhost:3000/");
                assert!(matches!(local, Ok(ProxyRoute::Direct)), "{local:?}");
            }
        }
        for value in ["proxy", "proxy:3128", "https://proxy", "http://[::1]:3128"] {
            let proxies = proxies(&[("https_proxy", value)]);
            assert!(route(&proxies, "https://api.example/").is_ok(), "{value}");
        }
    }
}
