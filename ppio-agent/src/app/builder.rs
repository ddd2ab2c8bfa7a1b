//! Builds an agent from closures.

use std::fmt;
use std::future::Future;

#[cfg(feature = "schema")]
use ppio_agent_schema::{ReplySchema, Schema};

use super::runtime_app::{AgentRuntimeApp, AppParts};
use super::start_error::StartError;
use crate::config::RuntimeConfig;
#[cfg(feature = "schema")]
use crate::endpoints::entrypoint_schema::EntrypointSchema;
use crate::endpoints::entrypoint_schema::{AboutAgent, SchemaFunction};
use crate::endpoints::mounted::{IntoRoutes, MountedService, RoutesWithState};
use crate::endpoints::ping::{AsyncPing, BlockingPing, PingHandler};
#[cfg(feature = "websocket")]
use crate::endpoints::websocket::call::WebSocketHandler;
#[cfg(feature = "websocket")]
use crate::endpoints::websocket::function::WebSocketFunction;
use crate::exchange::agent_info::AgentInfo;
use crate::exchange::body::Request;
use crate::exchange::error::{BoxError, Error};
use crate::exchange::policies::{OnDisconnect, SessionConcurrency};
use crate::invocation::handler::{AgentRequest, Entrypoint, Handler};
use crate::lifecycle::Hook;
use crate::lifecycle::shutdown::{Shutdown, ShutdownFunction};
use crate::lifecycle::startup::Startup;
use crate::lifecycle::states::{AnySlot, StateLookup, StateSlot, States};
use crate::server::middleware::{IntoResponse, Middleware, MiddlewareWithState, Next};
use crate::stalls::{FunctionName, FunctionNames};

/// Builds an [`AgentRuntimeApp`]. `E` is [`BuilderEntrypoint`] once the entrypoint is set.
#[must_use]
pub struct AgentRuntimeAppBuilder<E> {
    entrypoint: E,
    ping: Option<Deferred<PingHandler>>,
    #[cfg(feature = "websocket")]
    websocket: Option<Deferred<WebSocketHandler>>,
    middleware: Vec<Deferred<Middleware>>,
    values: Vec<AnySlot>,
    startups: Vec<Startup>,
    shutdowns: Vec<Deferred<Shutdown>>,
    routes: Option<Routes>,
    config: RuntimeConfig,
    on_disconnect: Option<OnDisconnect>,
    session_concurrency: Option<SessionConcurrency>,
    info: AgentInfo,
}

/// The service for the paths that are not the agent's own, or the function that builds it.
enum Routes {
    Service(MountedService),
    Function(Deferred<Startup>),
}

/// Builds a component of the agent once all states are known.
type Deferred<T> = Box<dyn FnOnce(&mut StateLookup<'_>) -> T + Send>;

impl AgentRuntimeApp {
    /// Returns a builder for an app that consists of closures or functions.
    pub fn builder() -> AgentRuntimeAppBuilder<()> {
        AgentRuntimeAppBuilder {
            entrypoint: (),
            ping: None,
            #[cfg(feature = "websocket")]
            websocket: None,
            middleware: Vec::new(),
            values: Vec::new(),
            startups: Vec::new(),
            shutdowns: Vec::new(),
            routes: None,
            config: RuntimeConfig::default(),
            on_disconnect: None,
            session_concurrency: None,
            info: AgentInfo::new(None, "agent", "", None),
        }
    }
}

impl AgentRuntimeAppBuilder<()> {
    /// Sets the function that answers invocations: it takes the request and optionally the
    /// [`RequestContext`](crate::RequestContext) and [`State`](crate::State)s, may be `async`, and
    /// returns an [`IntoReply`](crate::IntoReply). Functions that are not `async` run on blocking
    /// threads.
    pub fn entrypoint<M, F>(self, entrypoint: F) -> AgentRuntimeAppBuilder<BuilderEntrypoint>
    where
        F: Entrypoint<M>,
    {
        AgentRuntimeAppBuilder {
            entrypoint: BuilderEntrypoint {
                handler: Box::new(|states| entrypoint.into_handler(states)),
                schema: schema_of::<F::Request>(),
            },
            ping: self.ping,
            #[cfg(feature = "websocket")]
            websocket: self.websocket,
            middleware: self.middleware,
            values: self.values,
            startups: self.startups,
            shutdowns: self.shutdowns,
            routes: self.routes,
            config: self.config,
            on_disconnect: self.on_disconnect,
            session_concurrency: self.session_concurrency,
            info: self.info,
        }
    }
}

#[cfg(feature = "schema")]
fn schema_of<T: AgentRequest>() -> SchemaFunction {
    // A generic function cannot determine the schema of the reply.
    || EntrypointSchema {
        request: T::schema(),
        reply: ReplySchema::Value(Schema::any()),
    }
}

#[cfg(not(feature = "schema"))]
fn schema_of<T: AgentRequest>() -> SchemaFunction {
    SchemaFunction
}

/// The entrypoint of a builder; only a builder with an entrypoint can be built.
pub struct BuilderEntrypoint {
    handler: Deferred<Handler>,
    schema: SchemaFunction,
}

impl<E> AgentRuntimeAppBuilder<E> {
    /// Sets the name of the agent in other protocols, in the `OpenAPI` document and in telemetry;
    /// `agent` by default. An annotated function has the name of its package.
    pub fn name(mut self, name: &'static str) -> Self {
        self.info.name = name;
        self
    }

    /// Sets the description of the agent, for callers that choose an agent or a tool; empty by
    /// default. The description of an annotated function is the function's documentation.
    pub fn description(mut self, description: &'static str) -> Self {
        self.info.description = description;
        self
    }

    /// Sets the version of the agent, empty by default. An annotated function has the version of
    /// its package.
    pub fn version(mut self, version: &'static str) -> Self {
        self.info.version = version;
        self
    }

    /// Sets an asynchronous health check, which may take [`State`](crate::State)s.
    pub fn ping<M, F>(mut self, ping: F) -> Self
    where
        F: AsyncPing<M>,
    {
        self.ping = Some(Box::new(|states| ping.into_handler(states)));
        self
    }

    /// Sets a synchronous health check, which may take [`State`](crate::State)s. It runs on a
    /// blocking thread.
    pub fn blocking_ping<M, F>(mut self, ping: F) -> Self
    where
        F: BlockingPing<M>,
    {
        self.ping = Some(Box::new(|states| ping.into_handler(states)));
        self
    }

    /// Sets the function that serves `/ws`: it takes the [`WebSocket`](crate::WebSocket) and
    /// optionally the [`RequestContext`](crate::RequestContext) and [`State`](crate::State)s, is
    /// `async`, and returns nothing or a `Result`. See [`websocket`](macro@crate::websocket).
    ///
    /// ```
    /// use ppio::{AgentRuntimeApp, Value, WebSocket};
    ///
    /// # fn main() -> Result<(), ppio::StartError> {
    /// let app = AgentRuntimeApp::builder()
    ///     .entrypoint(async |request: Value| request)
    ///     .websocket(async |mut socket: WebSocket| {
    ///         while let Some(message) = socket.recv().await {
    ///             socket.send(message?).await?;
    ///         }
    ///         Ok::<_, ppio::Error>(())
    ///     })
    ///     .build()?;
    /// # let _ = app; Ok(()) }
    /// ```
    #[cfg(feature = "websocket")]
    pub fn websocket<M, F>(mut self, websocket: F) -> Self
    where
        F: WebSocketFunction<M>,
    {
        self.websocket = Some(Box::new(|states| websocket.into_handler(states)));
        self
    }

    /// Adds middleware around the routes of invocations: `/invocations` and the paths below it,
    /// those of the protocols, and `/ws`. The middleware that is added first is outermost.
    pub fn middleware<F, R>(self, middleware: F) -> Self
    where
        F: Fn(Request, Next) -> R + Send + Sync + 'static,
        R: Future<Output: IntoResponse> + Send + 'static,
    {
        self.wrap(Box::new(|_| Middleware::new(middleware, 0, false)))
    }

    /// Adds middleware around every route, the health check included.
    pub fn middleware_for_all_routes<F, R>(self, middleware: F) -> Self
    where
        F: Fn(Request, Next) -> R + Send + Sync + 'static,
        R: Future<Output: IntoResponse> + Send + 'static,
    {
        self.wrap(Box::new(|_| Middleware::new(middleware, 0, true)))
    }

    /// Adds middleware that takes [`State`](crate::State)s after the request and the [`Next`],
    /// around the routes of [`middleware`](Self::middleware).
    pub fn middleware_with_state<M, F>(self, middleware: F) -> Self
    where
        F: MiddlewareWithState<M>,
    {
        self.wrap(Box::new(|states| middleware.into_middleware(states, false)))
    }

    /// Adds middleware that takes [`State`](crate::State)s after the request and the [`Next`],
    /// around every route.
    pub fn middleware_with_state_for_all_routes<M, F>(self, middleware: F) -> Self
    where
        F: MiddlewareWithState<M>,
    {
        self.wrap(Box::new(|states| middleware.into_middleware(states, true)))
    }

    fn wrap(mut self, middleware: Deferred<Middleware>) -> Self {
        self.middleware.push(middleware);
        self
    }

    /// Sets what happens to an invocation whose caller disconnects. This replaces the policy in
    /// [`config`](Self::config). `PPIO_AGENT_ON_DISCONNECT` overrides both.
    pub fn on_disconnect(mut self, policy: OnDisconnect) -> Self {
        self.on_disconnect = Some(policy);
        self
    }

    /// Sets how a second invocation of a session is handled while one runs. This replaces the
    /// policy in [`config`](Self::config). `PPIO_AGENT_SESSION_CONCURRENCY` overrides both.
    pub fn session_concurrency(mut self, concurrency: SessionConcurrency) -> Self {
        self.session_concurrency = Some(concurrency);
        self
    }

    /// Adds a state that is already built. Functions take it as a [`State`](crate::State); there is
    /// one state of each type.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// use ppio::{AgentRuntimeApp, Json, State, Value};
    ///
    /// # fn main() -> Result<(), ppio::StartError> {
    /// let app = AgentRuntimeApp::builder()
    ///     .state(AtomicU64::new(0))
    ///     .entrypoint(async |_: Value, count: State<AtomicU64>| {
    ///         Json(count.fetch_add(1, Ordering::Relaxed))
    ///     })
    ///     .build()?;
    /// # let _ = app; Ok(()) }
    /// ```
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.values.push(AnySlot::new(StateSlot::of(value)));
        self
    }

    /// Adds an asynchronous function that builds a state before the agent listens. Functions take
    /// the state as a [`State`](crate::State); there is one state of each type. If the function
    /// returns an error, the agent does not start.
    ///
    /// ```
    /// use ppio::{AgentRuntimeApp, State};
    ///
    /// struct Greeting(String);
    ///
    /// # fn main() -> Result<(), ppio::StartError> {
    /// let app = AgentRuntimeApp::builder()
    ///     .startup(async || std::fs::read_to_string("greeting.txt").map(Greeting))
    ///     .shutdown(async |greeting: State<Greeting>| {
    ///         std::fs::write("greeting.txt", &greeting.0.0)
    ///     })
    ///     .entrypoint(async |name: String, greeting: State<Greeting>| {
    ///         format!("{}, {name}", greeting.0.0)
    ///     })
    ///     .build()?;
    /// # let _ = app; Ok(()) }
    /// ```
    pub fn startup<T, X, F, R>(mut self, startup: F) -> Self
    where
        T: Send + Sync + 'static,
        X: Into<BoxError>,
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<T, X>> + Send + 'static,
    {
        self.startups.push(Startup::new(|| {
            let state = startup();
            async move { state.await.map_err(Error::from_boxable) }
        }));
        self
    }

    /// Adds an asynchronous function that runs when the agent ends, after running requests and
    /// within the shutdown grace. It may take [`State`](crate::State)s, and returns nothing or a
    /// `Result`.
    pub fn shutdown<M, F>(mut self, shutdown: F) -> Self
    where
        F: ShutdownFunction<M>,
    {
        self.shutdowns
            .push(Box::new(|states| shutdown.into_shutdown(states)));
        self
    }

    /// Sets a service for the paths that are not the agent's own, such as axum's `Router`; see
    /// [`routes`](macro@crate::routes). A later call replaces the service of an earlier one.
    ///
    /// ```
    /// use axum::Router;
    /// use axum::routing::get;
    /// use ppio::{AgentRuntimeApp, Value};
    ///
    /// # fn main() -> Result<(), ppio::StartError> {
    /// let app = AgentRuntimeApp::builder()
    ///     .entrypoint(async |request: Value| request)
    ///     .routes(Router::new().route("/version", get(async || "1.0")))
    ///     .build()?;
    /// # let _ = app; Ok(()) }
    /// ```
    pub fn routes<S: IntoRoutes>(mut self, service: S) -> Self {
        self.routes = Some(Routes::Service(service.into_routes()));
        self
    }

    /// Sets a function that builds the service of [`routes`](Self::routes) from
    /// [`State`](crate::State)s, before the agent listens.
    pub fn routes_with_state<M, F>(mut self, routes: F) -> Self
    where
        F: RoutesWithState<M>,
    {
        let function: Deferred<Startup> = Box::new(|states| routes.into_startup(states));
        self.routes = Some(Routes::Function(function));
        self
    }

    /// Sets the configuration. Environment variables override the configuration.
    pub fn config(mut self, config: RuntimeConfig) -> Self {
        self.config = config;
        self
    }
}

impl AgentRuntimeAppBuilder<BuilderEntrypoint> {
    /// Resolves the configuration and builds the app.
    ///
    /// # Errors
    /// If the configuration is invalid (the error names every invalid variable or setting), if a
    /// function takes a state that the builder does not have, if two states have the same type, if
    /// a health check is required but not set, or if a WebSocket function is set although the
    /// platform calls AG-UI at `/ws`.
    pub fn build(self) -> Result<AgentRuntimeApp, StartError> {
        let mut config = self.config;
        config.on_disconnect = self.on_disconnect.or(config.on_disconnect);
        config.session_concurrency = self.session_concurrency.or(config.session_concurrency);
        let mut states = States::default();
        for value in self.values {
            let name = format!("the value of `.state({})`", value.type_name());
            states.add(value, name)?;
        }
        let mut startups = Vec::new();
        for startup in self.startups {
            let name = format!("the startup function of `{}`", startup.state_name());
            startups.push(startup.register(name, &mut states)?);
        }
        let routes = match self.routes {
            None => None,
            Some(Routes::Service(service)) => Some(StateSlot::of(service)),
            Some(Routes::Function(function)) => {
                let name = "the routes function of the builder";
                let build = function(&mut states.for_function(name));
                startups.push(build.register(name.to_owned(), &mut states)?);
                Some(states.for_function(name).slot())
            }
        };
        let handler = (self.entrypoint.handler)(&mut states.for_function("the entrypoint"));
        let ping = self
            .ping
            .map(|ping| ping(&mut states.for_function("the ping")));
        #[cfg(feature = "websocket")]
        let websocket = self
            .websocket
            .map(|websocket| websocket(&mut states.for_function("the websocket function")));
        let names = FunctionNames {
            entrypoint: FunctionName::of_builder("entrypoint"),
            ping: ping.is_some().then(|| FunctionName::of_builder("ping")),
            #[cfg(feature = "websocket")]
            websocket: websocket
                .is_some()
                .then(|| FunctionName::of_builder("websocket")),
            routes: routes.is_some().then(|| FunctionName::of_builder("routes")),
        };
        let middleware = self.middleware.into_iter().zip(1..);
        let middleware = middleware
            .map(|(middleware, number)| {
                let made = middleware(&mut states.for_function("middleware"));
                made.named(FunctionName::of_builder(format!("middleware {number}")))
            })
            .collect();
        let shutdowns = self.shutdowns.into_iter().zip(1..);
        let shutdowns = shutdowns
            .map(|(shutdown, number)| {
                let name = format!("shutdown function {number} of the builder");
                let function = shutdown(&mut states.for_function(&name));
                Hook { name, function }
            })
            .collect();
        AgentRuntimeApp::new(AppParts {
            handler,
            about: AboutAgent {
                info: self.info,
                schema: self.entrypoint.schema,
            },
            ping,
            #[cfg(feature = "websocket")]
            websocket,
            middleware,
            config,
            names,
            entrypoint: "the configuration".to_owned(),
            states,
            startups,
            shutdowns,
            routes,
        })
    }
}

impl<E> fmt::Debug for AgentRuntimeAppBuilder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentRuntimeAppBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
