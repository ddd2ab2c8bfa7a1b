//! Why an agent does not start.

use std::io;

use super::source_location::SourceLocation;
use crate::config::settings::ConfigError;

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is invalid; the text names every variable at fault.
    #[error("bad configuration: {0}")]
    Config(ConfigError),
    /// No function is annotated with `#[ppio::entrypoint]`.
    #[error("no entrypoint: annotate one function with `#[ppio::entrypoint]`")]
    NoEntrypoint,
    /// More than one function is annotated with `#[ppio::entrypoint]`.
    #[error("two entrypoints: {first} and {second}; a service has one, remove the other")]
    TwoEntrypoints {
        /// The first in source order.
        first: SourceLocation,
        /// The one after it.
        second: SourceLocation,
    },
    /// More than one function is annotated with `#[ppio::ping]`.
    #[error("two pings: {first} and {second}; a service has one, remove the other")]
    TwoPings {
        /// The first in source order.
        first: SourceLocation,
        /// The one after it.
        second: SourceLocation,
    },
    /// A health check is required and none is registered.
    #[error("{entrypoint} requires a ping: annotate one function with `#[ppio::ping]`")]
    NoPing {
        /// The entrypoint whose configuration requires it.
        entrypoint: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address} (set PPIO_AGENT_HOST or PPIO_AGENT_PORT to use another)")]
    Bind {
        /// The address as configured.
        address: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The system did not provide threads or signals.
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
}

// Not with `#[from]`, which would make it a source; its text is part of this one.
impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
