//! Which vendor a host belongs to: the API key of one vendor is not sent to a host of another.

use crate::config::Vendor;
use crate::error::Error;
use crate::platform::identifiers::is_at_or_below;

/// Vendors and their domains. The key of one vendor is not valid on the platform of another.
const VENDOR_DOMAINS: [(&str, &[&str]); 3] = [
    ("PPIO", &["ppio.cn", "ppio.com"]),
    ("E2B", &["e2b.app", "e2b.dev", "e2b.pro"]),
    ("Novita", &["novita.ai"]),
];

impl Vendor {
    /// The default domain of the vendor's sandboxes.
    pub(super) fn default_domain(self) -> &'static str {
        match self {
            Self::Ppio => "sandbox.ppio.cn",
            Self::E2b => "e2b.app",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ppio => "PPIO",
            Self::E2b => "E2B",
        }
    }

    /// Returns an error if the host belongs to another vendor.
    pub(super) fn check_host(self, host: &str) -> Result<(), Error> {
        let owner = owner_of(host).filter(|owner| *owner != self.name());
        let Some(owner) = owner else { return Ok(()) };
        let own = self.prefix();
        let others_key = [Self::Ppio, Self::E2b]
            .into_iter()
            .find(|vendor| vendor.name() == owner)
            .map_or_else(String::new, |vendor| {
                format!("set {}_API_KEY, or ", vendor.prefix())
            });
        let message = format!(
            "{own}_API_KEY is a key of {} and is not sent to {host}, a host of {owner}; \
             {others_key}set {own}_DOMAIN to the platform of {own}_API_KEY",
            self.name(),
        );
        Err(Error::Authentication {
            status: None,
            message,
        })
    }
}

/// Returns the vendor of a host, or `None` if the host is not below a known domain.
fn owner_of(host: &str) -> Option<&'static str> {
    let owner = VENDOR_DOMAINS.iter().find(|(_, domains)| {
        let mut domains = domains.iter();
        domains.any(|domain| is_at_or_below(host, domain))
    });
    owner.map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClientConfig, EnvironmentSettings};
    use crate::platform::PlatformEndpoints;

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
            (Vendor::Ppio, "https://api.sandbox.novita.ai"),
            (Vendor::E2b, "https://api.sandbox.novita.ai"),
        ] {
            let refused =
                PlatformEndpoints::resolve(&ClientConfig::default(), &settings(vendor, Some(url)));
            let error = refused.expect_err(url).to_string();
            let remedy = format!("set {}_DOMAIN", vendor.prefix());
            assert!(error.contains(&remedy), "{error}");
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
}
