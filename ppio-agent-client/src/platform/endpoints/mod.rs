//! The addresses of the control plane and of the sandboxes.

use http::{HeaderMap, HeaderValue, Uri};
use ppio_agent_protocol::headers;

use super::identifiers::{is_at_or_below, is_domain, sandbox_id};
use crate::config::ClientConfig;
use crate::config::{EnvironmentSettings, Vendor};
use crate::error::Error;
use crate::transport::is_loopback;

/// The domains of PPIO's cloud, with regions as their subdomains. By its contract, agents are sent
/// the API key.
const PPIO_CLOUD: [&str; 3] = [
    "sandbox.ppio.cn",
    "sandbox.ppio.com",
    "sandbox-test.ppio.cn",
];

/// Domains where the sandbox id is `{sandboxID}-{clientID}` and envd has no access token.
const LEGACY_DOMAINS: [&str; 2] = ["sandbox.ppio.cn", "sandbox-test.ppio.cn"];

/// The address of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxAddress {
    /// The sandbox's id.
    pub sandbox_id: String,
    /// The domain that the platform sent for it; `None`: the client's.
    pub domain: Option<String>,
}

impl SandboxAddress {
    /// Why the address is invalid, if it is. Responses of the control plane are checked when they
    /// are read; this check is for addresses that callers construct.
    pub(crate) fn validation_error(&self) -> Option<String> {
        if let Err(Error::Validation { message, .. }) = sandbox_id(&self.sandbox_id) {
            return Some(message);
        }
        let domain = self.domain.as_deref()?;
        (!is_domain(domain)).then(|| format!("{domain:?} is not a host name with an optional port"))
    }
}

impl Vendor {
    /// The domain of its sandboxes, unless it is configured.
    fn default_domain(self) -> &'static str {
        match self {
            Self::Ppio => "sandbox.ppio.cn",
            Self::E2b => "e2b.app",
        }
    }

    /// The vendor of a host, if it is one of these.
    fn of_host(host: &str) -> Option<Self> {
        let is_under = |parents: &[&str]| parents.iter().any(|parent| is_at_or_below(host, parent));
        if is_under(&["ppio.cn", "ppio.com"]) {
            return Some(Self::Ppio);
        }
        is_under(&["e2b.app", "e2b.dev", "e2b.pro"]).then_some(Self::E2b)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ppio => "PPIO",
            Self::E2b => "E2B",
        }
    }

    /// Rejects a host of the other vendor.
    fn check_host(self, host: &str) -> Result<(), Error> {
        match Self::of_host(host) {
            Some(other) if other != self => {
                let (own, others) = (self.prefix(), other.prefix());
                let message = format!(
                    "{own}_API_KEY is a key of {} and is not sent to {host}, a host of {}; set \
                     {others}_API_KEY, or set {own}_DOMAIN to the platform of the key",
                    self.name(),
                    other.name(),
                );
                Err(Error::Authentication {
                    status: None,
                    message,
                })
            }
            _ => Ok(()),
        }
    }
}

/// The addresses that a client uses, resolved once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlatformEndpoints {
    control_plane: String,
    domain: String,
    sandbox_url: Option<String>,
    debug: bool,
    /// The configuration of sending the key to agents.
    send_api_key: Option<bool>,
    /// Whether sandboxes may be on PPIO's cloud: the key is PPIO's, and the control plane is on the
    /// cloud unless the domain is configured.
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
        if !is_domain(&domain) {
            let message = format!("{domain:?} is not a host name with an optional port");
            return Err(Error::validation("domain", message));
        }
        let control_plane = match (&config.base_url, &settings.api_url) {
            (Some(url), _) => base("base_url", url)?,
            (None, Some(url)) => base("PPIO_API_URL", url)?,
            (None, None) if debug => "http://localhost:3000".to_owned(),
            (None, None) => format!("{}://api.{domain}", scheme_of(&domain)),
        };
        let sandbox_url = match (&config.sandbox_url, &settings.sandbox_url) {
            (Some(url), _) => Some(base("sandbox_url", url)?),
            (None, Some(url)) => Some(base("PPIO_SANDBOX_URL", url)?),
            (None, None) => None,
        };
        if let Some(variable) = settings.unused_address
            && !domain_is_given
            && config.base_url.is_none()
            && settings.api_url.is_none()
            && !debug
        {
            let message = "is not used with a key that is set in code, which counts as PPIO's: set the \
                           address in code as well, or in PPIO_DOMAIN";
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

    /// Whether the agent at this address is sent the API key. `url` is the result of
    /// [`port_of`](Self::port_of).
    ///
    /// The control plane sends the domain of a sandbox, so it must match the configuration: it is
    /// the configured domain, a subdomain, or a region of PPIO's cloud if that is configured.
    pub(crate) fn agent_gets_key(&self, address: &SandboxAddress, url: &str) -> bool {
        let is_configured = self.sandbox_url.is_some()
            || self.debug
            || address.domain.as_deref().is_none_or(|domain| {
                is_at_or_below(domain, &self.domain)
                    || is_ppio_cloud(domain) && is_ppio_cloud(&self.domain)
            });
        let is_contract =
            self.may_be_cloud && url.starts_with("https://") && is_ppio_cloud(host_of(url));
        is_configured && self.send_api_key.unwrap_or(is_contract)
    }

    pub(crate) fn control_plane(&self) -> &str {
        &self.control_plane
    }

    /// Whether this is an older installation of the platform.
    pub(crate) fn is_legacy(&self) -> bool {
        LEGACY_DOMAINS.contains(&self.domain.as_str())
    }

    /// The URL (without path) of a port of a sandbox, and the headers that route to it.
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
        let domain = address.domain.as_deref().unwrap_or(&self.domain);
        let host = format!("{port}-{}.{domain}", address.sandbox_id);
        (format!("{}://{host}", scheme_of(domain)), HeaderMap::new())
    }
}

fn is_ppio_cloud(host: &str) -> bool {
    PPIO_CLOUD.iter().any(|cloud| is_at_or_below(host, cloud))
}

/// The host of a valid URL or domain, without its port.
fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    without_port(authority).trim_end_matches('.')
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// A platform on this machine has no trusted certificate.
fn scheme_of(domain: &str) -> &'static str {
    if is_loopback(without_port(domain)) {
        "http"
    } else {
        "https"
    }
}

/// Checks a URL that paths are appended to.
fn base(field: &str, url: &str) -> Result<String, Error> {
    let invalid = |message: &str| Error::validation(field, format!("{url:?} {message}"));
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

    /// Whether an agent on the domain of a response is sent the key, with this configuration.
    fn gets_key(
        config: &ClientConfig,
        settings: &EnvironmentSettings,
        domain: Option<&str>,
    ) -> bool {
        let endpoints = PlatformEndpoints::resolve(config, settings).expect("well formed");
        let address = address(domain);
        let (url, _) = endpoints.port_of(&address, 8080);
        endpoints.agent_gets_key(&address, &url)
    }

    #[test]
    fn the_key_is_sent_to_agents_of_the_cloud_and_elsewhere_if_configured() {
        let config =
            |domain: Option<&str>, base_url: Option<&str>, send: Option<bool>| ClientConfig {
                domain: domain.map(str::to_owned),
                base_url: base_url.map(str::to_owned),
                send_api_key_to_agents: send,
                ..ClientConfig::default()
            };
        let region = Some("cn-beijing-1.sandbox.ppio.com");
        let (own, elsewhere) = (Some("agents.example"), Some("https://api.other.example"));
        let evil = Some("evil.example");
        let table = [
            // The cloud, its regions, and domains that resemble it.
            (config(None, None, None), None, true),
            (config(None, None, None), region, true),
            (config(region, None, None), None, true),
            (config(region, elsewhere, None), None, true),
            (config(None, None, None), evil, false),
            (config(None, None, None), Some("evilsandbox.ppio.cn"), false),
            (
                config(None, None, None),
                Some("sandbox.ppio.cn.evil.example"),
                false,
            ),
            (config(None, None, None), Some("ppio.cn"), false),
            (config(None, None, Some(false)), None, false),
            // Any other platform: only if configured, and only on its own domain.
            (config(own, None, None), None, false),
            (config(own, None, None), region, false),
            (config(own, None, Some(true)), None, true),
            (
                config(own, None, Some(true)),
                Some("eu.agents.example"),
                true,
            ),
            (config(own, None, Some(true)), evil, false),
            (config(own, None, Some(true)), region, false),
            (config(Some("localhost:3000"), None, None), None, false),
            (
                config(Some("localhost:3000"), None, Some(true)),
                Some("localhost:3000"),
                true,
            ),
            (
                config(Some("localhost:3000"), None, Some(true)),
                Some("localhost:3001"),
                false,
            ),
            // Another control plane, with sandboxes on the cloud only by the default domain.
            (config(None, elsewhere, None), None, false),
        ];
        for (config, domain, expected) in table {
            let settings = EnvironmentSettings::default();
            assert_eq!(
                gets_key(&config, &settings, domain),
                expected,
                "{config:?} {domain:?}"
            );
        }
        let configured = EnvironmentSettings {
            send_api_key_to_agents: Some(true),
            ..EnvironmentSettings::default()
        };
        assert!(gets_key(&config(own, None, None), &configured, None));
        assert!(!gets_key(
            &config(own, None, Some(false)),
            &configured,
            None
        ));
        let e2b = EnvironmentSettings {
            vendor: Vendor::E2b,
            ..EnvironmentSettings::default()
        };
        assert!(!gets_key(&ClientConfig::default(), &e2b, None));
        for url in ["http://gate.sandbox.ppio.cn", "https://gate.example"] {
            let config = ClientConfig {
                sandbox_url: Some(url.into()),
                ..ClientConfig::default()
            };
            assert!(
                !gets_key(&config, &EnvironmentSettings::default(), None),
                "{url}"
            );
        }
    }

    #[test]
    fn a_key_of_one_vendor_is_not_used_with_a_host_of_another() {
        let settings = |vendor: Vendor, url: Option<&str>| EnvironmentSettings {
            vendor,
            api_key: Some("key".into()),
            api_url: url.map(str::to_owned),
            ..EnvironmentSettings::default()
        };
        let e2b =
            PlatformEndpoints::resolve(&ClientConfig::default(), &settings(Vendor::E2b, None));
        assert_eq!(
            e2b.expect("E2B's own").control_plane(),
            "https://api.e2b.app"
        );
        for (vendor, url) in [
            (Vendor::E2b, "https://api.sandbox.ppio.cn"),
            (
                Vendor::E2b,
                "https://API.cn-beijing-1.sandbox.PPIO.com:443/v1",
            ),
            (Vendor::E2b, "http://ppio.com."),
            (Vendor::Ppio, "https://api.e2b.app"),
            (Vendor::Ppio, "https://api.e2b.dev"),
        ] {
            let refused =
                PlatformEndpoints::resolve(&ClientConfig::default(), &settings(vendor, Some(url)));
            let error = refused.expect_err(url).to_string();
            assert!(error.contains(vendor.prefix()), "{error}");
        }
        let url = Some("https://api.self-hosted.example");
        for vendor in [Vendor::E2b, Vendor::Ppio] {
            assert!(
                PlatformEndpoints::resolve(&ClientConfig::default(), &settings(vendor, url))
                    .is_ok()
            );
        }
        for config in [
            ClientConfig {
                domain: Some("sandbox.ppio.cn".into()),
                ..ClientConfig::default()
            },
            ClientConfig {
                sandbox_url: Some("https://sandbox.ppio.cn".into()),
                ..ClientConfig::default()
            },
        ] {
            let refused = PlatformEndpoints::resolve(&config, &settings(Vendor::E2b, None));
            assert!(matches!(refused, Err(Error::Authentication { .. })));
        }
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
    }
}
