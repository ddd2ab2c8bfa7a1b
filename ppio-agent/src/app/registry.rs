//! The functions that the attribute macros registered, collected at link time.

use super::source_location::SourceLocation;
use super::start_error::StartError;
use crate::config::RuntimeConfig;
use crate::endpoints::entrypoint_schema::SchemaFunction;
use crate::endpoints::ping::PingHandler;
use crate::exchange::error::Error;
use crate::invocation::executor::Job;
use crate::invocation::handler::Call;
use crate::server::middleware::Middleware;

/// What `#[ppio::entrypoint]` registers.
pub struct EntrypointRegistration {
    /// Starts one invocation.
    pub start: fn(Call) -> Result<Job, Error>,
    /// What the function takes and returns.
    pub schema: SchemaFunction,
    /// The `config = …` argument.
    pub config: Option<fn() -> RuntimeConfig>,
    /// Where the function is.
    pub location: SourceLocation,
}

/// What `#[ppio::ping]` registers.
pub struct PingRegistration {
    /// Makes the health check.
    pub ping: fn() -> PingHandler,
    /// Where the function is.
    pub location: SourceLocation,
}

/// What `#[ppio::middleware]` registers.
pub struct MiddlewareRegistration {
    /// Makes the middleware.
    pub middleware: fn() -> Middleware,
    /// Where the function is.
    pub location: SourceLocation,
}

inventory::collect!(EntrypointRegistration);
inventory::collect!(PingRegistration);
inventory::collect!(MiddlewareRegistration);

/// The registrations of one agent.
pub(crate) struct Registry {
    pub(crate) entrypoint: &'static EntrypointRegistration,
    pub(crate) ping: Option<&'static PingRegistration>,
    /// In source order.
    pub(crate) middleware: Vec<&'static MiddlewareRegistration>,
}

impl Registry {
    /// Collects the functions whose location `includes` accepts.
    pub(crate) fn collect(includes: impl Fn(&SourceLocation) -> bool) -> Result<Self, StartError> {
        let entrypoint = at_most_one(
            inventory::iter::<EntrypointRegistration>().filter(|found| includes(&found.location)),
            |found| found.location,
        )
        .map_err(|(first, second)| StartError::TwoEntrypoints { first, second })?
        .ok_or(StartError::NoEntrypoint)?;
        let ping = at_most_one(
            inventory::iter::<PingRegistration>().filter(|found| includes(&found.location)),
            |found| found.location,
        )
        .map_err(|(first, second)| StartError::TwoPings { first, second })?;
        let mut middleware: Vec<_> = inventory::iter::<MiddlewareRegistration>()
            .filter(|found| includes(&found.location))
            .collect();
        // The linker's order is arbitrary.
        middleware.sort_by_key(|found| found.location);
        Ok(Self {
            entrypoint,
            ping,
            middleware,
        })
    }
}

/// Returns the only registration, or the locations of the first two.
fn at_most_one<R>(
    registrations: impl Iterator<Item = &'static R>,
    location: impl Fn(&R) -> SourceLocation,
) -> Result<Option<&'static R>, (SourceLocation, SourceLocation)> {
    let mut registrations: Vec<_> = registrations.collect();
    registrations.sort_by_key(|found| location(found));
    match registrations[..] {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        [first, second, ..] => Err((location(first), location(second))),
    }
}
