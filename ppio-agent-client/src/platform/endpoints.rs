//! Where the control plane and the sandboxes are.

use http::{HeaderMap, HeaderValue, Uri};
use ppio_agent_protocol::headers;

use crate::config::ClientConfig;
use crate::environment::Settings;
use crate::error::Error;
use crate::transport::is_loopback;

const DEFAULT_DOMAIN: &str = "sandbox.ppio.cn";

/// On these the sandbox id is `{sandboxID}-{clientID}`, and envd has no access token.
const LEGACY_DOMAINS: [&str; 2] = ["sandbox.ppio.cn", "sandbox-test.ppio.cn"];

/// Which sandbox, and under which domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxAddress {
    /// The sandbox's id.
    pub sandbox_id: String,
    /// The domain the platform named for it; `None` stands for the client's own.
    pub domain: Option<String>,
}

/// The addresses a client works with, resolved once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoints {
    control_plane: String,
    domain: String,
    sandbox_url: Option<String>,
    debug: bool,
}

impl Endpoints {
    pub(crate) fn resolve(config: &ClientConfig, settings: &Settings) -> Result<Self, Error> {
        let debug = config.debug.or(settings.debug).unwrap_or(false);
        let domain = config.domain.clone().or_else(|| settings.domain.clone());
        let domain = domain.unwrap_or_else(|| DEFAULT_DOMAIN.to_owned());
        format!("https://a.{domain}/")
            .parse::<Uri>()
            .ok()
            .filter(|uri| {
                uri.authority()
                    .is_some_and(|authority| authority.as_str().len() == domain.len() + 2)
            })
            .ok_or_else(|| Error::validation("domain", format!("{domain:?} is no domain")))?;
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
        Ok(Self {
            control_plane,
            domain,
            sandbox_url,
            debug,
        })
    }

    pub(crate) fn control_plane(&self) -> &str {
        &self.control_plane
    }

    /// Whether this is one of the platform's older installations.
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

/// A platform on this machine has no certificate that anyone would trust.
fn scheme_of(domain: &str) -> &'static str {
    let host = match domain.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => domain,
    };
    if is_loopback(host) { "http" } else { "https" }
}

/// A URL that paths can be put behind.
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
        let message = "must not hold a user name or password, the API key is the only credential";
        // Not quoted: what stands in it is a secret.
        return Err(Error::validation(field, message));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(config: &ClientConfig) -> Endpoints {
        Endpoints::resolve(config, &Settings::default()).expect("well formed")
    }

    fn address(domain: Option<&str>) -> SandboxAddress {
        SandboxAddress {
            sandbox_id: "abc".into(),
            domain: domain.map(str::to_owned),
        }
    }

    #[test]
    fn every_port_has_a_host_of_its_own() {
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
    fn one_address_for_all_is_told_by_headers_where_to_go() {
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
    fn debug_is_this_machine() {
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
    fn what_is_no_address_is_named() {
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
        ] {
            let error = Endpoints::resolve(&config, &Settings::default()).expect_err(field);
            assert!(error.to_string().contains(field), "{error}");
        }
    }
}
