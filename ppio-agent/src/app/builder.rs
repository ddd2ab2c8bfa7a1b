//! Builds an agent from closures.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

#[cfg(feature = "schema")]
use ppio_agent_schema::{ReplySchema, Schema};

use super::runtime_app::AgentRuntimeApp;
use super::start_error::StartError;
use crate::config::RuntimeConfig;
#[cfg(feature = "schema")]
use crate::endpoints::entrypoint_schema::EntrypointSchema;
use crate::endpoints::entrypoint_schema::SchemaFunction;
use crate::endpoints::ping::{IntoPing, PingHandler};
use crate::exchange::body::Request;
use crate::exchange::policies::{OnDisconnect, SessionConcurrency};
use crate::invocation::handler::{AgentRequest, Entrypoint, Handler};
use crate::server::middleware::{IntoResponse, Middleware, Next};

/// Builds an [`AgentRuntimeApp`]. `E` is [`BuilderEntrypoint`] once it has an entrypoint.
#[must_use]
pub struct AgentRuntimeAppBuilder<E> {
    entrypoint: E,
    ping: Option<PingHandler>,
    middleware: Vec<Middleware>,
    config: RuntimeConfig,
    on_disconnect: Option<OnDisconnect>,
    session_concurrency: Option<SessionConcurrency>,
}

impl AgentRuntimeApp {
    /// Begins an app from closures or functions.
    pub fn builder() -> AgentRuntimeAppBuilder<()> {
        AgentRuntimeAppBuilder {
            entrypoint: (),
            ping: None,
            middleware: Vec::new(),
            config: RuntimeConfig::default(),
            on_disconnect: None,
            session_concurrency: None,
        }
    }
}

impl AgentRuntimeAppBuilder<()> {
    /// The function that answers invocations: it takes the request and optionally the
    /// [`RequestContext`](crate::RequestContext), is `async` or not, and returns an
    /// [`IntoReply`](crate::IntoReply). Functions that are not `async` run on blocking threads.
    pub fn entrypoint<M, F>(self, entrypoint: F) -> AgentRuntimeAppBuilder<BuilderEntrypoint>
    where
        F: Entrypoint<M>,
    {
        AgentRuntimeAppBuilder {
            entrypoint: BuilderEntrypoint {
                handler: Arc::new(move |call| entrypoint.start(call)),
                schema: schema_of::<F::Request>(),
            },
            ping: self.ping,
            middleware: self.middleware,
            config: self.config,
            on_disconnect: self.on_disconnect,
            session_concurrency: self.session_concurrency,
        }
    }
}

#[cfg(feature = "schema")]
fn schema_of<T: AgentRequest>() -> SchemaFunction {
    // A generic function cannot find out more about the reply.
    || EntrypointSchema {
        request: T::schema(),
        reply: ReplySchema::Value(Schema::any()),
    }
}

#[cfg(not(feature = "schema"))]
fn schema_of<T: AgentRequest>() -> SchemaFunction {
    SchemaFunction
}

/// The entrypoint of a builder that can be built.
pub struct BuilderEntrypoint {
    handler: Handler,
    schema: SchemaFunction,
}

impl<E> AgentRuntimeAppBuilder<E> {
    /// An asynchronous health check.
    pub fn ping<F, R>(mut self, ping: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output: IntoPing> + Send + 'static,
    {
        self.ping = Some(PingHandler::on_worker(ping));
        self
    }

    /// A synchronous health check. It runs on a blocking thread.
    pub fn blocking_ping<F, R>(mut self, ping: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: IntoPing,
    {
        self.ping = Some(PingHandler::on_blocking_thread(ping));
        self
    }

    /// Middleware around `/invocations`. The first one is outermost.
    pub fn middleware<F, R>(self, middleware: F) -> Self
    where
        F: Fn(Request, Next) -> R + Send + Sync + 'static,
        R: Future<Output: IntoResponse> + Send + 'static,
    {
        self.wrap(Middleware::new(middleware, 0, false))
    }

    /// Middleware around every route, the health check included.
    pub fn middleware_for_all_routes<F, R>(self, middleware: F) -> Self
    where
        F: Fn(Request, Next) -> R + Send + Sync + 'static,
        R: Future<Output: IntoResponse> + Send + 'static,
    {
        self.wrap(Middleware::new(middleware, 0, true))
    }

    fn wrap(mut self, middleware: Middleware) -> Self {
        self.middleware.push(middleware);
        self
    }

    /// What happens to an invocation whose caller disconnects, in place of that in
    /// [`config`](Self::config). The environment variable overrides it.
    pub fn on_disconnect(mut self, policy: OnDisconnect) -> Self {
        self.on_disconnect = Some(policy);
        self
    }

    /// What a second invocation of a session does while one runs, in place of that in
    /// [`config`](Self::config). The environment variable overrides it.
    pub fn session_concurrency(mut self, concurrency: SessionConcurrency) -> Self {
        self.session_concurrency = Some(concurrency);
        self
    }

    /// The configuration. Environment variables override it.
    pub fn config(mut self, config: RuntimeConfig) -> Self {
        self.config = config;
        self
    }
}

impl AgentRuntimeAppBuilder<BuilderEntrypoint> {
    /// Resolves the configuration.
    ///
    /// # Errors
    /// If the configuration is invalid; the error names every variable at fault.
    pub fn build(self) -> Result<AgentRuntimeApp, StartError> {
        let mut config = self.config;
        config.on_disconnect = self.on_disconnect.or(config.on_disconnect);
        config.session_concurrency = self.session_concurrency.or(config.session_concurrency);
        AgentRuntimeApp::new(
            self.entrypoint.handler,
            self.entrypoint.schema,
            self.ping,
            self.middleware,
            config,
            "the configuration",
        )
    }
}

impl<E> fmt::Debug for AgentRuntimeAppBuilder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentRuntimeAppBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
