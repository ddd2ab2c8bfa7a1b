//! Why an agent does not start.

use std::io;

use crate::app::registry::Place;
use crate::config::settings::ConfigError;

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is wrong; the text names every variable at fault.
    #[error("bad configuration: {0}")]
    Config(ConfigError),
    /// There is nothing to serve.
    #[error("no entrypoint: annotate one function with `#[ppio::entrypoint]`")]
    NoEntrypoint,
    /// There is more than one function to serve.
    #[error("two entrypoints: {first} and {second}; a service has one, remove the other")]
    TwoEntrypoints {
        /// The first in source order.
        first: Place,
        /// The one after it.
        second: Place,
    },
    /// There is more than one health check.
    #[error("two pings: {first} and {second}; a service has one, remove the other")]
    TwoPings {
        /// The first in source order.
        first: Place,
        /// The one after it.
        second: Place,
    },
    /// A health check is required and there is none.
    #[error("{entrypoint} requires a ping: annotate one function with `#[ppio::ping]`")]
    NoPing {
        /// What requires it.
        entrypoint: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address} (set PPIO_AGENT_HOST or PPIO_AGENT_PORT to use another)")]
    Bind {
        /// The address as configured.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The system refuses what a server needs: threads, signals.
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
}

// By hand: the text is in ours already, and as a source it would be said twice.
impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
