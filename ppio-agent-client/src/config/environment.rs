//! The environment variables of one vendor: `PPIO_*`, or `E2B_*` if only an E2B key is set.

use ppio_agent_protocol::environment::{self, is_blank};
use ppio_agent_protocol::{ByteSize, InvalidByteSize};

use super::secret::Secret;
use crate::error::Error;

/// The vendor of the environment's key and addresses. A key is only used with the addresses of its
/// vendor, so that a machine with the variables of both vendors sends neither key to the wrong
/// vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Vendor {
    #[default]
    Ppio,
    E2b,
}

impl Vendor {
    /// The prefix of the vendor's variables.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Ppio => "PPIO",
            Self::E2b => "E2B",
        }
    }
}

/// The settings that were read from environment variables. An empty variable counts as not set.
#[derive(Debug, Default)]
pub(crate) struct EnvironmentSettings {
    /// The vendor of the variables.
    pub(crate) vendor: Vendor,
    pub(crate) api_key: Option<Secret>,
    pub(crate) access_token: Option<Secret>,
    pub(crate) domain: Option<String>,
    pub(crate) api_url: Option<String>,
    pub(crate) sandbox_url: Option<String>,
    pub(crate) debug: Option<bool>,
    pub(crate) send_api_key_to_agents: Option<bool>,
    pub(crate) max_response_size: Option<ByteSize>,
    /// The name of an E2B variable whose address is ignored, because the key that is set in code
    /// may not be E2B's.
    pub(crate) unused_address: Option<&'static str>,
}

impl EnvironmentSettings {
    /// Reads the variables of the vendor whose key is set, or PPIO's if both keys or neither are
    /// set.
    pub(crate) fn read() -> Result<Self, Error> {
        Self::read_with(environment::text)
    }

    /// Reads the variables for a key that is set in code: PPIO's, without keys and tokens.
    pub(crate) fn read_without_keys() -> Result<Self, Error> {
        Self::without_keys_with(environment::text)
    }

    fn read_with(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let is_set = |name: &str| lookup(name).is_some_and(|value| !is_blank(value));
        let vendor = if !is_set("PPIO_API_KEY") && is_set("E2B_API_KEY") {
            Vendor::E2b
        } else {
            Vendor::Ppio
        };
        Self::of(vendor, lookup)
    }

    fn without_keys_with(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let is_set = |name: &str| lookup(name).is_some_and(|value| !is_blank(value));
        let unused_address = ["E2B_API_URL", "E2B_DOMAIN"]
            .into_iter()
            .find(|name| is_set(name));
        Ok(Self {
            api_key: None,
            // The token belongs to the key of the environment.
            access_token: None,
            unused_address,
            ..Self::of(Vendor::Ppio, lookup)?
        })
    }

    fn of(vendor: Vendor, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let find = |name: &str| {
            let name = format!("{}_{name}", vendor.prefix());
            let value = lookup(&name).filter(|value| !is_blank(value))?;
            Some((name, value.trim().to_owned()))
        };
        let text = |name: &str| find(name).map(|(_, value)| value);
        let flag = |name: &str| {
            let found = find(name).map(|(name, value)| flag(&name, &value));
            found.transpose()
        };
        let size = find("MAX_RESPONSE_SIZE").map(|(name, value)| size(&name, &value));
        Ok(Self {
            vendor,
            api_key: text("API_KEY").map(Secret::new),
            access_token: text("ACCESS_TOKEN").map(Secret::new),
            domain: text("DOMAIN"),
            api_url: text("API_URL"),
            sandbox_url: text("SANDBOX_URL"),
            debug: flag("DEBUG")?,
            send_api_key_to_agents: flag("SEND_API_KEY_TO_AGENTS")?,
            max_response_size: size.transpose()?,
            unused_address: None,
        })
    }
}

fn flag(name: &str, value: &str) -> Result<bool, Error> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Error::validation(
            name,
            format!("{value:?} is not true or false"),
        )),
    }
}

fn size(name: &str, value: &str) -> Result<ByteSize, Error> {
    value
        .parse()
        .map_err(|error: InvalidByteSize| Error::validation(name, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| {
            let found = variables.iter().find(|(key, _)| *key == name)?;
            Some(found.1.to_owned())
        }
    }

    fn read(variables: &[(&str, &str)]) -> Result<EnvironmentSettings, Error> {
        EnvironmentSettings::read_with(lookup(variables))
    }

    #[test]
    fn the_variables_of_two_vendors_are_not_mixed() {
        let both = [
            ("PPIO_API_KEY", "ppio"),
            ("PPIO_DOMAIN", "  "),
            ("PPIO_DEBUG", "TRUE"),
            ("E2B_API_KEY", "e2b"),
            ("E2B_ACCESS_TOKEN", "e2b-token"),
            ("E2B_DOMAIN", "e2b.example"),
            ("E2B_API_URL", "https://api.e2b.example"),
            ("E2B_SANDBOX_URL", "https://sandbox.e2b.example"),
        ];
        let settings = read(&both).expect("well formed");
        assert_eq!(settings.vendor, Vendor::Ppio);
        assert_eq!(settings.api_key, Some(Secret::new("ppio")));
        assert_eq!(settings.debug, Some(true));
        assert_eq!(settings.access_token, None);
        assert_eq!(settings.domain, None);
        assert_eq!(settings.api_url, None);
        assert_eq!(settings.sandbox_url, None);

        let mut e2b = both;
        e2b[0].1 = " ";
        e2b[1].1 = "ppio.example";
        let settings = read(&e2b).expect("well formed");
        assert_eq!(settings.vendor, Vendor::E2b);
        assert_eq!(settings.api_key, Some(Secret::new("e2b")));
        assert_eq!(settings.access_token, Some(Secret::new("e2b-token")));
        assert_eq!(settings.domain.as_deref(), Some("e2b.example"));
        assert_eq!(settings.debug, None);
    }

    #[test]
    fn a_key_set_in_code_excludes_the_keys_of_the_environment() {
        let settings = EnvironmentSettings::without_keys_with(lookup(&[
            ("PPIO_API_KEY", "ppio"),
            ("PPIO_ACCESS_TOKEN", "token"),
            ("PPIO_API_URL", "http://localhost:3000"),
            ("E2B_DOMAIN", "e2b.example"),
        ]))
        .expect("well formed");
        assert_eq!((settings.api_key, settings.access_token), (None, None));
        assert_eq!(settings.api_url.as_deref(), Some("http://localhost:3000"));
        assert_eq!(settings.domain, None);
        assert_eq!(settings.unused_address, Some("E2B_DOMAIN"));
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let unset = format!("{:?}", read(&[]).expect("nothing wrong"));
        for vendor in ["PPIO", "E2B"] {
            for name in [
                "API_KEY",
                "ACCESS_TOKEN",
                "DOMAIN",
                "API_URL",
                "SANDBOX_URL",
                "DEBUG",
                "SEND_API_KEY_TO_AGENTS",
                "MAX_RESPONSE_SIZE",
            ] {
                for blank in ["", " ", "\t\n"] {
                    let name = format!("{vendor}_{name}");
                    let variables = [(&*name, blank)];
                    let settings = read(&variables).expect("nothing wrong");
                    assert_eq!(format!("{settings:?}"), unset, "{name}={blank:?}");
                    let settings = EnvironmentSettings::without_keys_with(lookup(&variables));
                    let settings = settings.expect("nothing wrong");
                    assert_eq!(format!("{settings:?}"), unset, "{name}={blank:?}");
                }
            }
        }
    }

    #[test]
    fn an_invalid_value_is_named() {
        let key = ("E2B_API_KEY", "e2b");
        let error = read(&[key, ("E2B_DEBUG", "maybe")]).expect_err("not a flag");
        assert_eq!(
            error.to_string(),
            "invalid E2B_DEBUG: \"maybe\" is not true or false"
        );
        let error = read(&[("PPIO_MAX_RESPONSE_SIZE", "lots")]).expect_err("not a size");
        assert!(
            error
                .to_string()
                .starts_with("invalid PPIO_MAX_RESPONSE_SIZE: \"lots\""),
            "{error}"
        );
    }
}
