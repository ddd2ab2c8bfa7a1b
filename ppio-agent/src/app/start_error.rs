//! The error of an agent that does not start.

use std::{fmt, io};

use super::source_location::SourceLocation;
use crate::config::settings::ConfigError;
use crate::exchange::error::ErrorChain;
use crate::lifecycle::LifecycleError;

/// The error of an agent that does not start, or whose shutdown fails.
///
/// `Debug` writes the text of the error and of its cause, because a `main` that returns an error
/// prints its `Debug`.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is invalid; the text names every invalid variable or setting.
    #[error("bad configuration: {0}")]
    Config(ConfigError),
    /// No function is annotated with `#[ppio::entrypoint]`.
    #[error(
        "no entrypoint: annotate one function with `#[ppio::entrypoint]`; if it is in a library \
         crate, write `use that_crate as _;` in main.rs, because a crate that is not used is not \
         linked"
    )]
    NoEntrypoint,
    /// More than one function is annotated with `#[ppio::entrypoint]`.
    #[error("two entrypoints: {first} and {second}; an agent has one, remove the other")]
    TwoEntrypoints {
        /// The first in source order.
        first: SourceLocation,
        /// The second in source order.
        second: SourceLocation,
    },
    /// More than one function is annotated with `#[ppio::ping]`.
    #[error("two pings: {first} and {second}; an agent has one, remove the other")]
    TwoPings {
        /// The first in source order.
        first: SourceLocation,
        /// The second in source order.
        second: SourceLocation,
    },
    /// More than one function is annotated with `#[ppio::websocket]`.
    #[cfg(feature = "websocket")]
    #[error("two websocket functions: {first} and {second}; an agent has one, remove the other")]
    TwoWebSockets {
        /// The first in source order.
        first: SourceLocation,
        /// The second in source order.
        second: SourceLocation,
    },
    /// The platform calls AG-UI at `/ws`, where a function serves WebSockets.
    #[cfg(feature = "websocket")]
    #[error(
        "two handlers of /ws: PPIO_AGENT_PLATFORM=\"agentcore-ag-ui\" needs AG-UI there, and the \
         agent has a websocket function; remove the function, or leave `websocket` out of \
         PPIO_AGENT_PROTOCOLS to serve neither"
    )]
    WebSocketOfPlatform,
    /// More than one function is annotated with `#[ppio::routes]`.
    #[error(
        "two routes functions: {first} and {second}; an agent has one, merge their routers and \
         remove the other"
    )]
    TwoRoutes {
        /// The first in source order.
        first: SourceLocation,
        /// The second in source order.
        second: SourceLocation,
    },
    /// A health check is required, but the agent has none.
    #[error("{entrypoint} requires a ping: annotate one function with `#[ppio::ping]`")]
    NoPing {
        /// The entrypoint whose configuration requires a health check; `the configuration` for an
        /// app of the builder.
        entrypoint: String,
    },
    /// A state is missing, exists twice or cannot be replaced, or a startup or shutdown function
    /// failed.
    #[error("{0}")]
    Lifecycle(LifecycleError),
    /// The agent cannot listen on the address.
    #[error(
        "cannot listen on {address} (set PPIO_AGENT_HOST or PPIO_AGENT_PORT to use another address)"
    )]
    Bind {
        /// The address as configured.
        address: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The journal cannot be read or written.
    #[error(
        "cannot use {directory} as the journal: {reason} \
         (set PPIO_AGENT_JOURNAL to another directory)"
    )]
    Journal {
        /// The directory as configured.
        directory: String,
        /// What failed.
        reason: String,
    },
    /// Telemetry cannot be exported as the `OTEL_*` variables specify.
    #[cfg(feature = "otel")]
    #[error("cannot export telemetry: {0} (or set OTEL_SDK_DISABLED=true)")]
    Telemetry(crate::telemetry::TelemetryError),
    /// The runtime cannot be created, or signals cannot be received.
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    /// `run` was called inside a tokio runtime.
    #[error(
        "cannot start the agent inside a tokio runtime: remove `#[tokio::main]` and write \
         `fn main()`, since the agent starts its own runtime, or serve it on this runtime with \
         `app.bind().await?.serve().await`"
    )]
    InsideRuntime,
    /// The health check of `--healthcheck` failed.
    #[error("unhealthy: {0}")]
    Unhealthy(String),
    /// The document of `--openapi` does not exist or cannot be written.
    #[error("cannot print the OpenAPI document: {0}")]
    OpenApi(String),
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", ErrorChain(self))
    }
}

// `#[from]` is not used: it would make the inner error a source, whose text is already a part of
// the `StartError`'s text.
impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

#[cfg(feature = "otel")]
impl From<crate::telemetry::TelemetryError> for StartError {
    fn from(error: crate::telemetry::TelemetryError) -> Self {
        Self::Telemetry(error)
    }
}

impl From<LifecycleError> for StartError {
    fn from(error: LifecycleError) -> Self {
        Self::Lifecycle(error)
    }
}
