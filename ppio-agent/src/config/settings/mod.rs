//! The effective configuration: defaults, overridden by code, overridden by the environment.

pub(super) mod environment;
mod values;

use std::fmt;

use ppio_agent_connection::Limits;
use ppio_agent_protocol::environment::is_blank;
#[cfg(feature = "logging")]
use tracing_subscriber::filter::Targets;

use self::environment::Environment;
use super::RuntimeConfig;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::server::agent::ServerSettings;
use crate::server::cors::Cors;
use crate::server::host::AllowedHosts;

/// A configuration in which every setting has a value.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) values: RuntimeSettings,
    cors: Cors,
    allowed_hosts: AllowedHosts,
    #[cfg(feature = "logging")]
    pub(crate) log: Targets,
}

/// The error of an invalid configuration. Its text names every invalid variable or setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for ConfigError {}

impl Settings {
    /// Returns the settings of `config`, overridden by the environment variables that `lookup`
    /// finds. The error names all invalid settings.
    pub(crate) fn resolve(
        config: RuntimeConfig,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let lookup = &|name: &str| {
            lookup(name)
                .filter(|value| !is_blank(value))
                .map(|value| value.trim().to_owned())
        };
        let mut env = Environment {
            lookup,
            faults: Vec::new(),
        };
        let values = env.values(config);
        env.check_platform(&values);
        let settings = Self {
            cors: env.cors(&values),
            allowed_hosts: env.allowed_hosts(&values),
            // `Environment::log` has added a fault if the filter is invalid.
            #[cfg(feature = "logging")]
            log: values.log.parse().unwrap_or_default(),
            values,
        };
        if env.faults.is_empty() {
            Ok(settings)
        } else {
            Err(ConfigError(env.faults))
        }
    }

    /// Returns the settings that the server needs.
    pub(crate) fn server(&self) -> ServerSettings {
        let values = &self.values;
        ServerSettings {
            cors: self.cors.clone(),
            allowed_hosts: self.allowed_hosts.clone(),
            max_request_size: values.max_request_size,
            body_timeout: values.body_timeout,
            connection: Limits {
                keep_alive_timeout: values.keep_alive_timeout,
                header_timeout: values.header_timeout,
                write_timeout: Some(values.write_timeout),
            },
            shutdown_grace: values.shutdown_grace,
            #[cfg(feature = "metrics")]
            enable_metrics: values.enable_metrics,
        }
    }

    /// Returns the address to listen on, as `host:port`.
    pub(crate) fn address(&self) -> String {
        let RuntimeSettings { host, port, .. } = &self.values;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests;
