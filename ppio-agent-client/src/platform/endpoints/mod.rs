//! The addresses of the control plane and of the sandboxes.

mod agent_key;
mod sandbox_address;
mod vendor_hosts;

use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};
use ppio_agent_protocol::environment::url_without_secrets;
use ppio_agent_protocol::headers;
use ppio_agent_protocol::host::{is_loopback, without_port};

use self::agent_key::is_ppio_cloud;
use super::identifiers::is_domain;
use crate::config::{ClientConfig, EnvironmentSettings, Vendor};
use crate::error::Error;
use crate::transport::Proxies;

pub use self::sandbox_address::SandboxAddress;

/// Domains where the sandbox id is `{sandboxID}-{clientID}` and envd has no access token.
const LEGACY_DOMAINS: [&str; 2] = ["sandbox.ppio.cn", "sandbox-test.ppio.cn"];

/// The addresses that a client uses, resolved once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlatformEndpoints {
    control_plane: String,
    domain: String,
    sandbox_url: Option<String>,
    debug: bool,
    /// Whether the API key is sent to agents, if that is configured.
    send_api_key: Option<bool>,
    /// Whether sandboxes may be on PPIO's cloud: the API key is PPIO's, and the control plane is on
    /// the cloud unless the domain or the sandbox URL is configured.
    may_be_cloud: bool,
}

impl PlatformEndpoints {
    pub(crate) fn resolve(
        config: &ClientConfig,
        settings: &EnvironmentSettings,
    ) -> Result<Self, Error> {
        let debug = config.debug.or(settings.debug).unwrap_or(false);
        let domain = config.domain.clone().or_else(|| settings.domain.clone());
        let domain_is_given = domain.is_some();
        let domain = domain.unwrap_or_else(|| settings.vendor.default_domain().to_owned());
        let variable = |name: &str| format!("{}_{name}", settings.vendor.prefix());
        if !is_domain(&domain) {
            let field = match &config.domain {
                Some(_) => "domain".to_owned(),
                None => variable("DOMAIN"),
            };
            let shown = url_without_secrets(&domain);
            let message = format!("{shown:?} is not a host name with an optional port");
            return Err(Error::validation(field, message));
        }
        let control_plane = match (&config.base_url, &settings.api_url) {
            (Some(url), _) => base("base_url", url)?,
            (None, Some(url)) => base(&variable("API_URL"), url)?,
            (None, None) if debug => "http://localhost:3000".to_owned(),
            (None, None) => format!("{}://api.{domain}", scheme_of(&domain)),
        };
        let sandbox_url = match (&config.sandbox_url, &settings.sandbox_url) {
            (Some(url), _) => Some(base("sandbox_url", url)?),
            (None, Some(url)) => Some(base(&variable("SANDBOX_URL"), url)?),
            (None, None) => None,
        };
        if let Some(variable) = settings.unused_address
            && !domain_is_given
            && config.base_url.is_none()
            && settings.api_url.is_none()
            && !debug
        {
            let message = "is not used with an API key set in code, which counts as PPIO's: \
                           set the address in code as well, or in PPIO_DOMAIN";
            return Err(Error::validation(variable, message));
        }
        if settings.api_key.is_some() {
            let addresses = [Some(&control_plane), sandbox_url.as_ref(), Some(&domain)];
            for address in addresses.into_iter().flatten() {
                settings.vendor.check_host(host_of(address))?;
            }
        }
        let may_be_cloud = settings.vendor == Vendor::Ppio
            && (domain_is_given || sandbox_url.is_some() || is_ppio_cloud(host_of(&control_plane)));
        Ok(Self {
            control_plane,
            domain,
            sandbox_url,
            debug,
            send_api_key: config
                .send_api_key_to_agents
                .or(settings.send_api_key_to_agents),
            may_be_cloud,
        })
    }

    /// Returns an error if the variable of the proxy for calls to the control plane is invalid.
    pub(crate) fn check_proxy(&self, proxies: &Proxies) -> Result<(), Error> {
        let Ok(control_plane) = self.control_plane.parse() else {
            return Ok(());
        };
        let checked = proxies.check(&control_plane);
        checked.map_err(|error| Error::validation(error.variable, error.problem))
    }

    pub(crate) fn control_plane(&self) -> &str {
        &self.control_plane
    }

    /// Whether the configured or default domain is that of an older installation.
    pub(crate) fn is_legacy(&self) -> bool {
        LEGACY_DOMAINS.contains(&self.domain.as_str())
    }

    /// Returns the URL of a sandbox's port, to which paths are appended, and the headers that route
    /// to the port.
    pub(crate) fn port_of(&self, address: &SandboxAddress, port: u16) -> (String, HeaderMap) {
        let by_headers = || {
            let mut routing = HeaderMap::new();
            if let Ok(id) = HeaderValue::from_str(&address.sandbox_id) {
                routing.insert(headers::PPIO_SANDBOX_ID, id.clone());
                routing.insert(headers::E2B_SANDBOX_ID, id);
            }
            routing.insert(headers::PPIO_SANDBOX_PORT, port.into());
            routing.insert(headers::E2B_SANDBOX_PORT, port.into());
            routing
        };
        if let Some(url) = &self.sandbox_url {
            return (url.clone(), by_headers());
        }
        if self.debug {
            return (format!("http://localhost:{port}"), by_headers());
        }
        let domain = self.domain_of(address);
        let host = format!("{port}-{}.{domain}", address.sandbox_id);
        (format!("{}://{host}", scheme_of(domain)), HeaderMap::new())
    }

    /// Returns the URL (without path) of a sandbox's port that needs no routing headers, if there
    /// is one, otherwise the URL of [`port_of`](Self::port_of): a platform on this machine serves
    /// the hosts of its sandboxes at the address of `sandbox_url`, and names below `localhost` need
    /// no DNS.
    pub(crate) fn public_url(&self, address: &SandboxAddress, port: u16) -> String {
        let domain = self.domain_of(address);
        match &self.sandbox_url {
            Some(url) if is_same_loopback(url, domain) => {
                let (scheme, _) = url.split_once("://").unwrap_or(("http", url));
                format!("{scheme}://{port}-{}.{domain}", address.sandbox_id)
            }
            _ => self.port_of(address, port).0,
        }
    }

    fn domain_of<'a>(&'a self, address: &'a SandboxAddress) -> &'a str {
        address.domain.as_deref().unwrap_or(&self.domain)
    }
}

/// Returns the host of a valid URL or domain, without its port.
fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    without_port(authority).trim_end_matches('.')
}

/// Whether a URL and a domain refer to the same port of this machine, and the domain has
/// subdomains.
fn is_same_loopback(url: &str, domain: &str) -> bool {
    let has_subdomains = without_port(domain).ends_with("localhost") && is_loopback(domain);
    let Ok(url) = url.parse::<Uri>() else {
        return false;
    };
    let default_port = match url.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    let domain_port = domain.parse::<Authority>().ok();
    let domain_port = domain_port.and_then(|domain| domain.port_u16());
    has_subdomains
        && url.host().is_some_and(is_loopback)
        && url.path() == "/"
        && url.port_u16().unwrap_or(default_port) == domain_port.unwrap_or(default_port)
}

/// Returns the scheme of URLs on this domain. A platform on this machine has no trusted
/// certificate.
fn scheme_of(domain: &str) -> &'static str {
    if is_loopback(domain) { "http" } else { "https" }
}

/// Checks a URL that paths are appended to, and returns it without a slash at its end.
fn base(field: &str, url: &str) -> Result<String, Error> {
    let shown = url_without_secrets(url);
    let invalid = |message: &str| Error::validation(field, format!("{shown:?} {message}"));
    let uri: Uri = url
        .parse()
        .map_err(|_| invalid("is not a URL such as https://api.example.com"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(invalid("must begin with http:// or https://"));
    }
    if uri.query().is_some() {
        return Err(invalid("must not have a query"));
    }
    let has_credentials = uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    if has_credentials {
        let message =
            "must not contain a user name or password, the API key is the only credential";
        // The URL contains a secret, so the error does not quote it.
        return Err(Error::validation(field, message));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(config: &ClientConfig) -> PlatformEndpoints {
        PlatformEndpoints::resolve(config, &EnvironmentSettings::default()).expect("well formed")
    }

    fn address(domain: Option<&str>) -> SandboxAddress {
        SandboxAddress {
            sandbox_id: "abc".into(),
            domain: domain.map(str::to_owned),
        }
    }

    #[test]
    fn every_port_has_its_own_host() {
        let cloud = endpoints(&ClientConfig {
            domain: Some("cn-beijing-1.sandbox.ppio.com".into()),
            ..ClientConfig::default()
        });
        assert_eq!(
            cloud.control_plane(),
            "https://api.cn-beijing-1.sandbox.ppio.com"
        );
        let (url, headers) = cloud.port_of(&address(None), 8080);
        assert_eq!(url, "https://8080-abc.cn-beijing-1.sandbox.ppio.com");
        assert!(headers.is_empty());
        let (url, _) = cloud.port_of(&address(Some("localhost:3100")), 49983);
        assert_eq!(url, "http://49983-abc.localhost:3100");
        assert!(endpoints(&ClientConfig::default()).is_legacy());
    }

    #[test]
    fn headers_route_where_all_sandboxes_share_one_url() {
        let single = endpoints(&ClientConfig {
            sandbox_url: Some("http://127.0.0.1:9000/".into()),
            ..ClientConfig::default()
        });
        let (url, headers) = single.port_of(&address(None), 49983);
        assert_eq!(url, "http://127.0.0.1:9000");
        assert_eq!(headers["ppio-sandbox-id"], "abc");
        assert_eq!(headers["e2b-sandbox-port"], "49983");
    }

    #[test]
    fn a_platform_of_this_machine_serves_hosts_at_its_shared_url() {
        for (url, domain, expected) in [
            (
                "http://127.0.0.1:9000",
                "localhost:9000",
                "http://7-abc.localhost:9000",
            ),
            (
                "https://localhost:9000/",
                "localhost:9000",
                "https://7-abc.localhost:9000",
            ),
            ("http://[::1]", "localhost", "http://7-abc.localhost"),
            // The URL and the domain are different servers.
            (
                "http://127.0.0.1:9000",
                "localhost:9001",
                "http://127.0.0.1:9000",
            ),
            (
                "http://127.0.0.1:9000",
                "127.0.0.1:9000",
                "http://127.0.0.1:9000",
            ),
            (
                "http://127.0.0.1:9000",
                "sandbox.ppio.cn",
                "http://127.0.0.1:9000",
            ),
            (
                "http://127.0.0.1:9000/gate",
                "localhost:9000",
                "http://127.0.0.1:9000/gate",
            ),
            ("https://gate.example", "localhost", "https://gate.example"),
        ] {
            let shared = endpoints(&ClientConfig {
                sandbox_url: Some(url.into()),
                domain: Some(domain.into()),
                ..ClientConfig::default()
            });
            assert_eq!(
                shared.public_url(&address(None), 7),
                expected,
                "{url} {domain}"
            );
            let (sent_to, headers) = shared.port_of(&address(None), 7);
            assert_eq!(sent_to, url.trim_end_matches('/'));
            assert!(!headers.is_empty());
        }
    }

    #[test]
    fn debug_uses_this_machine() {
        let debug = endpoints(&ClientConfig {
            debug: Some(true),
            ..ClientConfig::default()
        });
        assert_eq!(debug.control_plane(), "http://localhost:3000");
        assert_eq!(
            debug.port_of(&address(None), 8080).0,
            "http://localhost:8080"
        );
    }

    #[test]
    fn an_unused_address_of_another_vendor_is_an_error() {
        let settings = EnvironmentSettings {
            unused_address: Some("E2B_DOMAIN"),
            ..EnvironmentSettings::default()
        };
        let error =
            PlatformEndpoints::resolve(&ClientConfig::default(), &settings).expect_err("ambiguous");
        assert!(
            error.to_string().starts_with("invalid E2B_DOMAIN"),
            "{error}"
        );
        let configured = ClientConfig {
            base_url: Some("http://localhost:3000".into()),
            ..ClientConfig::default()
        };
        assert!(PlatformEndpoints::resolve(&configured, &settings).is_ok());
    }

    #[test]
    fn an_invalid_address_is_named() {
        for (field, config) in [
            (
                "base_url",
                ClientConfig {
                    base_url: Some("ftp://x".into()),
                    ..ClientConfig::default()
                },
            ),
            (
                "sandbox_url",
                ClientConfig {
                    sandbox_url: Some("nonsense".into()),
                    ..ClientConfig::default()
                },
            ),
            (
                "domain",
                ClientConfig {
                    domain: Some("a b".into()),
                    ..ClientConfig::default()
                },
            ),
            (
                "domain",
                ClientConfig {
                    domain: Some("a/b".into()),
                    ..ClientConfig::default()
                },
            ),
            (
                "domain",
                ClientConfig {
                    domain: Some("x@evil.example".into()),
                    ..ClientConfig::default()
                },
            ),
        ] {
            let error = PlatformEndpoints::resolve(&config, &EnvironmentSettings::default())
                .expect_err(field);
            assert!(error.to_string().contains(field), "{error}");
        }
        for url in [
            "ftp://user:secret@x",
            "user:secret@x",
            "http://user:secret@a b",
            "http://user:secret@x",
            "http://x/?key=secret",
        ] {
            let config = |base_url, domain| ClientConfig {
                base_url,
                domain,
                ..ClientConfig::default()
            };
            for config in [
                config(Some(url.into()), None),
                config(None, Some(url.into())),
            ] {
                let error = PlatformEndpoints::resolve(&config, &EnvironmentSettings::default());
                let error = error.expect_err(url).to_string();
                assert!(!error.contains("secret"), "{error}");
            }
        }
        let text = |text: &str| Some(text.to_owned());
        for (variable, settings) in [
            (
                "E2B_API_URL",
                EnvironmentSettings {
                    api_url: text("ftp://x"),
                    ..EnvironmentSettings::default()
                },
            ),
            (
                "E2B_SANDBOX_URL",
                EnvironmentSettings {
                    sandbox_url: text("nonsense"),
                    ..EnvironmentSettings::default()
                },
            ),
            (
                "E2B_DOMAIN",
                EnvironmentSettings {
                    domain: text("a/b"),
                    ..EnvironmentSettings::default()
                },
            ),
        ] {
            let settings = EnvironmentSettings {
                vendor: Vendor::E2b,
                ..settings
            };
            let error = PlatformEndpoints::resolve(&ClientConfig::default(), &settings)
                .expect_err(variable);
            assert!(error.to_string().contains(variable), "{error}");
        }
    }
}
