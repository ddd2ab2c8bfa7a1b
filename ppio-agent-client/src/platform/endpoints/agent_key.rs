//! Which agents are sent the API key.

use super::{PlatformEndpoints, SandboxAddress, host_of};
use crate::platform::identifiers::is_at_or_below;

/// The domains of PPIO's cloud, with regions as their subdomains. By PPIO's contract, agents on
/// these domains are sent the API key.
const PPIO_CLOUD: [&str; 3] = [
    "sandbox.ppio.cn",
    "sandbox.ppio.com",
    "sandbox-test.ppio.cn",
];

impl PlatformEndpoints {
    /// Whether the agent at this address is sent the API key. `url` is the result of
    /// [`port_of`](Self::port_of).
    ///
    /// The control plane sends the domain of a sandbox, so the domain must match the configuration:
    /// it must be the configured domain, a subdomain of it, or a region of PPIO's cloud if a domain
    /// of that cloud is configured. With `sandbox_url` or `debug`, the domain is not used.
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
}

pub(super) fn is_ppio_cloud(host: &str) -> bool {
    PPIO_CLOUD.iter().any(|cloud| is_at_or_below(host, cloud))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClientConfig, EnvironmentSettings, Vendor};

    /// Whether an agent on the domain of a response is sent the API key, with this configuration.
    fn gets_key(
        config: &ClientConfig,
        settings: &EnvironmentSettings,
        domain: Option<&str>,
    ) -> bool {
        let endpoints = PlatformEndpoints::resolve(config, settings).expect("well formed");
        let address = SandboxAddress {
            sandbox_id: "abc".into(),
            domain: domain.map(str::to_owned),
        };
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
            // Any other platform: agents are sent the key only if this is configured, and only on
            // the domain of the platform.
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
            // Another control plane: its sandboxes are on PPIO's cloud only because the default
            // domain is the cloud's.
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
}
