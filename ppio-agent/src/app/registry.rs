//! The functions that the attribute macros registered, collected at link time.

use super::source_location::SourceLocation;
use super::start_error::StartError;
use crate::config::RuntimeConfig;
use crate::endpoints::entrypoint_schema::SchemaFunction;
use crate::endpoints::ping::PingHandler;
#[cfg(feature = "websocket")]
use crate::endpoints::websocket::call::WebSocketHandler;
use crate::exchange::agent_info::AgentInfo;
use crate::invocation::handler::Handler;
use crate::lifecycle::shutdown::Shutdown;
use crate::lifecycle::startup::Startup;
use crate::lifecycle::states::StateLookup;
use crate::server::middleware::Middleware;

/// A function that is annotated with `#[ppio::entrypoint]`.
pub struct EntrypointRegistration {
    /// Creates the function that starts one invocation.
    pub handler: fn(&mut StateLookup<'_>) -> Handler,
    /// The description of the agent.
    pub info: AgentInfo,
    /// The schemas of the function's request and reply.
    pub schema: SchemaFunction,
    /// The `config = …` argument.
    pub config: Option<fn() -> RuntimeConfig>,
    /// The location of the function.
    pub location: SourceLocation,
}

/// A function that is annotated with `#[ppio::ping]`.
pub struct PingRegistration {
    /// Creates the health check.
    pub ping: fn(&mut StateLookup<'_>) -> PingHandler,
    /// The location of the function.
    pub location: SourceLocation,
}

/// A function that is annotated with `#[ppio::middleware]`.
pub struct MiddlewareRegistration {
    /// Creates the middleware.
    pub middleware: fn(&mut StateLookup<'_>) -> Middleware,
    /// The location of the function.
    pub location: SourceLocation,
}

/// A function that is annotated with `#[ppio::websocket]`.
#[cfg(feature = "websocket")]
pub struct WebSocketRegistration {
    /// Creates the function that serves one connection.
    pub websocket: fn(&mut StateLookup<'_>) -> WebSocketHandler,
    /// The location of the function.
    pub location: SourceLocation,
}

/// A function that is annotated with `#[ppio::startup]`.
pub struct StartupRegistration {
    /// Creates the startup function.
    pub startup: fn() -> Startup,
    /// The location of the function.
    pub location: SourceLocation,
}

/// A function that is annotated with `#[ppio::shutdown]`.
pub struct ShutdownRegistration {
    /// Creates the shutdown function.
    pub shutdown: fn(&mut StateLookup<'_>) -> Shutdown,
    /// The location of the function.
    pub location: SourceLocation,
}

/// A function that is annotated with `#[ppio::routes]`.
pub struct RoutesRegistration {
    /// Creates the function that builds the service.
    pub routes: fn(&mut StateLookup<'_>) -> Startup,
    /// The location of the function.
    pub location: SourceLocation,
}

inventory::collect!(EntrypointRegistration);
inventory::collect!(PingRegistration);
inventory::collect!(MiddlewareRegistration);
#[cfg(feature = "websocket")]
inventory::collect!(WebSocketRegistration);
inventory::collect!(StartupRegistration);
inventory::collect!(ShutdownRegistration);
inventory::collect!(RoutesRegistration);

/// The registrations of one agent.
pub(crate) struct Registry {
    pub(crate) entrypoint: &'static EntrypointRegistration,
    pub(crate) ping: Option<&'static PingRegistration>,
    #[cfg(feature = "websocket")]
    pub(crate) websocket: Option<&'static WebSocketRegistration>,
    /// In source order.
    pub(crate) middleware: Vec<&'static MiddlewareRegistration>,
    /// In source order.
    pub(crate) startups: Vec<&'static StartupRegistration>,
    /// In source order.
    pub(crate) shutdowns: Vec<&'static ShutdownRegistration>,
    pub(crate) routes: Option<&'static RoutesRegistration>,
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
        #[cfg(feature = "websocket")]
        let websocket = at_most_one(
            inventory::iter::<WebSocketRegistration>().filter(|found| includes(&found.location)),
            |found| found.location,
        )
        .map_err(|(first, second)| StartError::TwoWebSockets { first, second })?;
        let routes = at_most_one(
            inventory::iter::<RoutesRegistration>().filter(|found| includes(&found.location)),
            |found| found.location,
        )
        .map_err(|(first, second)| StartError::TwoRoutes { first, second })?;
        Ok(Self {
            entrypoint,
            ping,
            #[cfg(feature = "websocket")]
            websocket,
            routes,
            middleware: in_source_order(&includes, |found: &MiddlewareRegistration| found.location),
            startups: in_source_order(&includes, |found: &StartupRegistration| found.location),
            shutdowns: in_source_order(&includes, |found: &ShutdownRegistration| found.location),
        })
    }
}

/// Returns the registrations whose location `includes` accepts, in source order. The order of the
/// linker is arbitrary.
fn in_source_order<R: inventory::Collect>(
    includes: &impl Fn(&SourceLocation) -> bool,
    location: impl Fn(&R) -> SourceLocation,
) -> Vec<&'static R> {
    let mut registrations: Vec<_> = inventory::iter::<R>()
        .filter(|found| includes(&location(found)))
        .collect();
    registrations.sort_by_key(|found| location(found));
    registrations
}

/// Returns the only registration or `None`. If there are several, returns the locations of the
/// first two.
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
