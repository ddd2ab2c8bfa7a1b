//! A configured agent.

use std::fmt;
use std::sync::Arc;

use ppio_agent_protocol::environment;

use super::registry::Registry;
use super::source_location::SourceLocation;
use super::start_error::StartError;
use crate::config::RuntimeConfig;
use crate::config::settings::Settings;
use crate::endpoints::entrypoint_schema::SchemaFunction;
use crate::endpoints::index::Index;
use crate::endpoints::ping::{Ping, PingHandler};
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::invocation::handler::Handler;
use crate::server::AgentRuntimeServer;
use crate::server::agent::Agent;
use crate::server::middleware::Middleware;
use crate::server::service::AgentService;
use crate::server::signals::Signals;

/// A configured agent, ready to be served.
///
/// The `main` that `#[ppio::entrypoint]` generates makes one and runs it. The same without a macro:
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
    settings: Arc<Settings>,
    agent: Arc<Agent>,
}

impl AgentRuntimeApp {
    /// The app of the annotated functions of this program.
    ///
    /// # Errors
    /// No entrypoint or more than one, more than one ping, or an invalid configuration.
    pub fn annotated() -> Result<Self, StartError> {
        Self::annotated_where(|_| true)
    }

    /// The app of the annotated functions in one module and the modules inside it.
    ///
    /// A program has one agent. A test that has several, each in a module of its own, selects one
    /// of them with this.
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
        Self::annotated_where(|location| location.is_in(module))
    }

    fn annotated_where(includes: impl Fn(&SourceLocation) -> bool) -> Result<Self, StartError> {
        let registry = Registry::collect(includes)?;
        let entrypoint = registry.entrypoint;
        let middleware = registry.middleware.iter();
        Self::new(
            Arc::new(entrypoint.start),
            entrypoint.schema,
            registry.ping.map(|found| (found.ping)()),
            middleware.map(|found| (found.middleware)()).collect(),
            entrypoint.config.map(|config| config()).unwrap_or_default(),
            &entrypoint.location.to_string(),
        )
    }

    pub(super) fn new(
        handler: Handler,
        schema: SchemaFunction,
        ping: Option<PingHandler>,
        middleware: Vec<Middleware>,
        config: RuntimeConfig,
        entrypoint: &str,
    ) -> Result<Self, StartError> {
        let settings = Settings::resolve(config, &environment::text)?;
        let values = &settings.values;
        if values.require_ping && ping.is_none() {
            return Err(StartError::NoPing {
                entrypoint: entrypoint.to_owned(),
            });
        }
        let middleware = if values.enable_middleware {
            middleware
        } else {
            Vec::new()
        };
        let index = Index::new(values.debug, values.enable_metrics, schema);
        let agent = Agent::new(
            settings.server(),
            values.clone(),
            handler,
            middleware,
            Ping::new(ping),
            index,
        );
        Ok(Self {
            settings: Arc::new(settings),
            agent: Arc::new(agent),
        })
    }

    /// Listens on the configured address, inside a tokio runtime. The log is the program's, see
    /// [`AgentRuntimeServer::serve`].
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn bind(self) -> Result<AgentRuntimeServer, StartError> {
        let RuntimeSettings { host, port, .. } = self.settings();
        AgentRuntimeServer::listen(host, *port, Arc::clone(&self.agent))
            .await
            .map_err(|source| StartError::Bind {
                address: self.settings.address(),
                source,
            })
    }

    /// The agent as a service, to mount in another server or to call without a socket.
    pub fn into_service(self) -> AgentService {
        AgentService::new(self.agent)
    }

    /// The settings in force: the defaults, overridden by the [`RuntimeConfig`], overridden by the
    /// environment.
    pub fn settings(&self) -> &RuntimeSettings {
        &self.settings.values
    }

    pub(super) fn resolved(&self) -> &Settings {
        &self.settings
    }
}

impl fmt::Debug for AgentRuntimeApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentRuntimeApp")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl AgentRuntimeServer {
    /// Listens on the configured address.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn bind(app: AgentRuntimeApp) -> Result<Self, StartError> {
        app.bind().await
    }

    /// Serves until SIGTERM or SIGINT, then shuts down; a second signal aborts what still runs.
    ///
    /// A server installs no log: it writes `tracing` events with targets that begin with `ppio`, and
    /// the subscriber of the program shows them. A program that has none calls
    /// [`AgentRuntimeApp::start_logging`].
    ///
    /// # Errors
    /// If the system does not deliver signals.
    pub async fn serve(self) -> Result<(), StartError> {
        let mut signals = Signals::new().map_err(StartError::Runtime)?;
        self.serve_with(&mut signals).await;
        Ok(())
    }
}
