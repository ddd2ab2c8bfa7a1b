//! An agent put together: from annotated functions, or from closures.

mod healthcheck;
pub(crate) mod logging;
pub(crate) mod registry;
pub(crate) mod run;
pub(crate) mod start_error;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::app::registry::{Parts, Place};
use crate::app::start_error::StartError;
use crate::config::RuntimeConfig;
use crate::config::settings::Settings;
use crate::endpoints::ping::{IntoPing, PingHandler};
use crate::exchange::body::Request;
use crate::invocation::handler::{Entrypoint, Handler};
use crate::server::agent::Agent;
use crate::server::middleware::{Chains, IntoResponse, Middleware, Next};
use crate::server::router::AgentService;
use crate::server::{self, AgentRuntimeServer};

/// A configured agent, ready to be served.
///
/// With the attribute macros the generated `main` makes one and runs it. Made by hand it is the
/// same thing, without a macro:
///
/// ```no_run
/// use ppio::{AgentRuntimeApp, RequestContext, Value};
///
/// fn main() -> Result<(), ppio::StartError> {
///     AgentRuntimeApp::builder()
///         .entrypoint(|request: Value, context: RequestContext| async move {
///             format!("{} asks {request}", context.request_id())
///         })
///         .build()?
///         .run()
/// }
/// ```
#[derive(Clone)]
pub struct AgentRuntimeApp {
    agent: Arc<Agent>,
}

impl AgentRuntimeApp {
    /// Begins an app from closures or functions.
    pub fn builder() -> AgentRuntimeAppBuilder<()> {
        AgentRuntimeAppBuilder {
            entrypoint: (),
            ping: None,
            middleware: Vec::new(),
            config: RuntimeConfig::default(),
        }
    }

    /// The app that the attribute macros of this program describe.
    ///
    /// # Errors
    /// No entrypoint or more than one, more than one ping, or a configuration that cannot be used.
    pub fn annotated() -> Result<Self, StartError> {
        Self::annotated_where(|_| true)
    }

    /// The app that the annotated functions in one module and the modules in it describe.
    ///
    /// A program has one agent; a test that makes several, each in a module of its own, chooses
    /// one of them here.
    ///
    /// ```
    /// mod polite {
    ///     #[ppio::entrypoint]
    ///     async fn agent(name: String) -> String {
    ///         format!("Good evening, {name}.")
    ///     }
    /// }
    ///
    /// mod rude {
    ///     #[ppio::entrypoint]
    ///     async fn agent(name: String) -> String {
    ///         format!("What do you want, {name}?")
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ppio::StartError> {
    /// use ppio::AgentRuntimeApp;
    /// use ppio::testing::TestAgent;
    ///
    /// let app = AgentRuntimeApp::annotated_in(concat!(module_path!(), "::polite"))?;
    /// let reply = TestAgent::new(app).invoke("Ann").await;
    /// assert_eq!(reply.value::<String>().await, "Good evening, Ann.");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`annotated`](Self::annotated).
    pub fn annotated_in(module: &str) -> Result<Self, StartError> {
        Self::annotated_where(|place| place.is_in(module))
    }

    fn annotated_where(belongs: impl Fn(&Place) -> bool) -> Result<Self, StartError> {
        let parts = Parts::collect(belongs)?;
        let start = parts.entrypoint.start;
        let config = parts.entrypoint.config.map(|config| config());
        Self::new(
            Arc::new(start),
            parts.ping.map(|part| (part.ping)()),
            parts
                .middleware
                .iter()
                .map(|part| (part.middleware)())
                .collect(),
            config.unwrap_or_default(),
            &parts.entrypoint.place.to_string(),
        )
    }

    fn new(
        handler: Handler,
        ping: Option<PingHandler>,
        middleware: Vec<Middleware>,
        config: RuntimeConfig,
        entrypoint: &str,
    ) -> Result<Self, StartError> {
        let settings = Settings::resolve(config, &variable)?;
        if settings.require_ping && ping.is_none() {
            return Err(StartError::NoPing {
                entrypoint: entrypoint.to_owned(),
            });
        }
        let chains = if settings.enable_middleware {
            Chains::new(middleware)
        } else {
            Chains::default()
        };
        Ok(Self {
            agent: Arc::new(Agent::new(settings, handler, ping, chains)),
        })
    }

    /// Serves until SIGTERM or SIGINT, then drains. Starts a tokio runtime of its own.
    ///
    /// # Errors
    /// When the address cannot be listened on or the runtime cannot start.
    ///
    /// # Panics
    /// Inside of a tokio runtime; use [`AgentRuntimeServer`] there.
    pub fn run(self) -> Result<(), StartError> {
        server::run(self)
    }

    /// Listens on the configured address, inside of a running tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(self) -> Result<AgentRuntimeServer, StartError> {
        AgentRuntimeServer::bind(self).await
    }

    /// The agent as a service, to mount in a server of another make or to call without a socket.
    pub fn into_service(self) -> AgentService {
        AgentService::new(self.agent)
    }

    pub(crate) fn agent(&self) -> &Arc<Agent> {
        &self.agent
    }
}

impl fmt::Debug for AgentRuntimeApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentRuntimeApp")
            .field("settings", &self.agent.settings)
            .finish_non_exhaustive()
    }
}

/// An environment variable. What is not UTF-8 is read as text that no setting accepts, not as unset.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Puts an [`AgentRuntimeApp`] together. It can be built once it has an entrypoint.
#[must_use]
pub struct AgentRuntimeAppBuilder<E> {
    entrypoint: E,
    ping: Option<PingHandler>,
    middleware: Vec<Middleware>,
    config: RuntimeConfig,
}

impl AgentRuntimeAppBuilder<()> {
    /// The function that answers invocations: it takes the request and optionally the
    /// [`RequestContext`](crate::RequestContext), is `async` or not, and returns an
    /// [`IntoReply`](crate::IntoReply). What is not `async` runs on blocking threads.
    pub fn entrypoint<M, F: Entrypoint<M>>(self, entrypoint: F) -> AgentRuntimeAppBuilder<Ready> {
        AgentRuntimeAppBuilder {
            entrypoint: Ready(Arc::new(move |call| entrypoint.start(call))),
            ping: self.ping,
            middleware: self.middleware,
            config: self.config,
        }
    }
}

/// The entrypoint of an app that can be built.
pub struct Ready(Handler);

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

    /// Middleware around `/invocations`. What is added first is outermost.
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

    /// The configuration. The environment still wins over it.
    pub fn config(mut self, config: RuntimeConfig) -> Self {
        self.config = config;
        self
    }
}

impl AgentRuntimeAppBuilder<Ready> {
    /// Resolves the configuration.
    ///
    /// # Errors
    /// When it cannot be used; the error names every variable at fault.
    pub fn build(self) -> Result<AgentRuntimeApp, StartError> {
        AgentRuntimeApp::new(
            self.entrypoint.0,
            self.ping,
            self.middleware,
            self.config,
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
