//! `PPIO_*` variables, and `E2B_*` where those are not set.

use crate::error::Error;
use crate::secret::Secret;

/// What the environment says. An empty variable says nothing.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) api_key: Option<Secret>,
    pub(crate) access_token: Option<Secret>,
    pub(crate) domain: Option<String>,
    pub(crate) api_url: Option<String>,
    pub(crate) sandbox_url: Option<String>,
    pub(crate) debug: Option<bool>,
}

impl Settings {
    pub(crate) fn read() -> Result<Self, Error> {
        Self::read_with(|name| std::env::var(name).ok())
    }

    fn read_with(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let find = |name: &str| {
            ["PPIO", "E2B"].into_iter().find_map(|prefix| {
                let name = format!("{prefix}_{name}");
                let value = lookup(&name).filter(|value| !value.trim().is_empty())?;
                Some((name, value.trim().to_owned()))
            })
        };
        let text = |name: &str| find(name).map(|(_, value)| value);
        let debug = find("DEBUG").map(|(name, value)| flag(&name, &value));
        Ok(Self {
            api_key: text("API_KEY").map(Secret::new),
            access_token: text("ACCESS_TOKEN").map(Secret::new),
            domain: text("DOMAIN"),
            api_url: text("API_URL"),
            sandbox_url: text("SANDBOX_URL"),
            debug: debug.transpose()?,
        })
    }
}

fn flag(name: &str, value: &str) -> Result<bool, Error> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Error::validation(
            name,
            format!("{value:?} is neither true nor false"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, Error> {
        Settings::read_with(|name| {
            let found = variables.iter().find(|(key, _)| *key == name)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn ppio_comes_first_and_e2b_fills_the_gaps() {
        let settings = read(&[
            ("PPIO_API_KEY", "ppio"),
            ("E2B_API_KEY", "e2b"),
            ("PPIO_DOMAIN", "  "),
            ("E2B_DOMAIN", "e2b.example"),
            ("PPIO_DEBUG", "TRUE"),
        ])
        .expect("well formed");
        assert_eq!(settings.api_key, Some(Secret::new("ppio")));
        assert_eq!(settings.domain.as_deref(), Some("e2b.example"));
        assert_eq!(settings.debug, Some(true));
        assert_eq!(settings.api_url, None);
    }

    #[test]
    fn a_flag_that_is_none_is_named() {
        let error = read(&[("E2B_DEBUG", "maybe")]).expect_err("no flag");
        assert_eq!(
            error.to_string(),
            "invalid E2B_DEBUG: \"maybe\" is neither true nor false"
        );
    }
}
