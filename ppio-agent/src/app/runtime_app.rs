//! A configured agent.

use std::fmt;
use std::sync::Arc;

use ppio_agent_protocol::environment;

use super::registry::Registry;
use super::source_location::SourceLocation;
use super::start_error::StartError;
use crate::config::RuntimeConfig;
use crate::config::settings::Settings;
use crate::endpoints::entrypoint_schema::AboutAgent;
use crate::endpoints::mounted::MountedService;
use crate::endpoints::ping::{Ping, PingHandler};
#[cfg(feature = "websocket")]
use crate::endpoints::websocket::call::WebSocketHandler;
#[cfg(feature = "otel")]
use crate::exchange::agent_info::AgentInfo;
#[cfg(feature = "websocket")]
use crate::exchange::platform::Platform;
#[cfg(feature = "websocket")]
use crate::exchange::protocol::Protocol;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::invocation::InvokerWatches;
use crate::invocation::handler::Handler;
use crate::lifecycle::shutdown::Shutdown;
use crate::lifecycle::startup::StartupRun;
use crate::lifecycle::states::{StateSlot, States};
use crate::lifecycle::{Hook, Lifecycle};
use crate::server::AgentRuntimeServer;
use crate::server::agent::{Agent, Endpoints, Watches};
use crate::server::middleware::Middleware;
use crate::server::service::AgentService;
use crate::server::signals::Signals;
use crate::stalls::{AsyncFunctions, FunctionName, FunctionNames};

/// A configured agent, ready to be served.
///
/// The `main` that `#[ppio::entrypoint]` generates builds an app and runs it. A program without a
/// macro does the same with a builder:
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
    states: Arc<States>,
    #[cfg(feature = "otel")]
    info: AgentInfo,
}

/// The components of an app.
pub(super) struct AppParts {
    pub(super) handler: Handler,
    pub(super) about: AboutAgent,
    pub(super) ping: Option<PingHandler>,
    #[cfg(feature = "websocket")]
    pub(super) websocket: Option<WebSocketHandler>,
    pub(super) middleware: Vec<Middleware>,
    pub(super) config: RuntimeConfig,
    pub(super) names: FunctionNames,
    /// The name of the entrypoint in errors.
    pub(super) entrypoint: String,
    pub(super) states: States,
    pub(super) startups: Vec<Hook<StartupRun>>,
    pub(super) shutdowns: Vec<Hook<Shutdown>>,
    /// The service for the paths that are not the agent's own.
    pub(super) routes: Option<StateSlot<MountedService>>,
}

impl AgentRuntimeApp {
    /// Returns the app of the annotated functions of this program.
    ///
    /// # Errors
    /// If there is no entrypoint or more than one, more than one ping, WebSocket or routes
    /// function, a state that no startup function builds or that two build, an invalid
    /// configuration, no ping function although one is required, or a WebSocket function although
    /// the platform calls AG-UI at `/ws`.
    pub fn annotated() -> Result<Self, StartError> {
        Self::annotated_where(|_| true)
    }

    /// Returns the app of the annotated functions in one module and its submodules.
    ///
    /// A program has one agent. A test program that has several agents, each in its own module,
    /// selects one of them with this function.
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
        let names = FunctionNames {
            entrypoint: entrypoint.location.function_name(),
            ping: registry.ping.map(|found| found.location.function_name()),
            #[cfg(feature = "websocket")]
            websocket: registry
                .websocket
                .map(|found| found.location.function_name()),
            routes: registry.routes.map(|found| found.location.function_name()),
        };
        let mut states = States::default();
        let mut startups = Vec::new();
        for found in registry.startups {
            let name = format!("the startup function {}", found.location);
            startups.push((found.startup)().register(name, &mut states)?);
        }
        // The routes function is registered after the startup functions, since it may take their
        // states.
        let routes = match registry.routes {
            None => None,
            Some(found) => {
                let name = format!("the routes function {}", found.location);
                let build = (found.routes)(&mut states.for_function(&found.location.to_string()));
                startups.push(build.register(name.clone(), &mut states)?);
                Some(states.for_function(&name).slot())
            }
        };
        let handler =
            (entrypoint.handler)(&mut states.for_function(&entrypoint.location.to_string()));
        let ping = registry
            .ping
            .map(|found| (found.ping)(&mut states.for_function(&found.location.to_string())));
        #[cfg(feature = "websocket")]
        let websocket = registry
            .websocket
            .map(|found| (found.websocket)(&mut states.for_function(&found.location.to_string())));
        let middleware = registry.middleware.iter();
        let middleware = middleware
            .map(|found| {
                let made =
                    (found.middleware)(&mut states.for_function(&found.location.to_string()));
                made.named(found.location.function_name())
            })
            .collect();
        let shutdowns = registry.shutdowns.iter();
        let shutdowns = shutdowns
            .map(|found| Hook {
                name: format!("the shutdown function {}", found.location),
                function: (found.shutdown)(&mut states.for_function(&found.location.to_string())),
            })
            .collect();
        Self::new(AppParts {
            handler,
            about: AboutAgent {
                info: entrypoint.info,
                schema: entrypoint.schema,
            },
            ping,
            #[cfg(feature = "websocket")]
            websocket,
            middleware,
            config: entrypoint.config.map(|config| config()).unwrap_or_default(),
            names,
            entrypoint: entrypoint.location.to_string(),
            states,
            startups,
            shutdowns,
            routes,
        })
    }

    pub(super) fn new(mut parts: AppParts) -> Result<Self, StartError> {
        parts.states.check()?;
        let settings = Settings::resolve(parts.config, &environment::text)?;
        let values = &settings.values;
        if values.require_ping && parts.ping.is_none() {
            return Err(StartError::NoPing {
                entrypoint: parts.entrypoint,
            });
        }
        #[cfg(feature = "websocket")]
        if parts.websocket.is_some()
            && values.platform == Some(Platform::AgentCoreAgUi)
            && values.protocols.contains(&Protocol::WebSocket)
        {
            return Err(StartError::WebSocketOfPlatform);
        }
        let mut functions = AsyncFunctions::new(values.blocking_warning);
        let names = &parts.names;
        let watches = Watches {
            invoker: InvokerWatches {
                entrypoint: functions.add(&names.entrypoint),
                tasks: functions.add(&FunctionName::of_tasks()),
            },
            #[cfg(feature = "websocket")]
            websocket: functions.add_some(names.websocket.as_ref()),
        };
        let ping_watch = functions.add_some(names.ping.as_ref());
        let routes_watch = functions.add_some(names.routes.as_ref());
        let mut middleware = if values.enable_middleware {
            parts.middleware
        } else {
            Vec::new()
        };
        for middleware in &mut middleware {
            middleware.watch(&mut functions);
        }
        let endpoints = Endpoints {
            ping: Ping::new(parts.ping, values.platform.is_some(), ping_watch),
            functions,
            watches,
            #[cfg(feature = "websocket")]
            websocket: parts.websocket,
        };
        #[cfg(feature = "otel")]
        let info = parts.about.info;
        let mut agent = Agent::new(
            settings.server(),
            values.clone(),
            parts.handler,
            middleware,
            endpoints,
            parts.about,
            Lifecycle::new(parts.startups, parts.shutdowns),
        );
        if let Some(service) = parts.routes {
            agent.mount(service, routes_watch);
        }
        Ok(Self {
            settings: Arc::new(settings),
            agent: Arc::new(agent),
            states: Arc::new(parts.states),
            #[cfg(feature = "otel")]
            info,
        })
    }

    /// Replaces a state, whose startup function then does not run. A test can replace a database
    /// with a value in memory.
    ///
    /// ```
    /// mod agent {
    ///     pub struct Greeting {
    ///         pub text: String,
    ///     }
    ///
    ///     #[ppio::startup]
    ///     async fn load() -> Result<Greeting, std::io::Error> {
    ///         let text = std::fs::read_to_string("/etc/greeting")?;
    ///         Ok(Greeting { text })
    ///     }
    ///
    ///     #[ppio::entrypoint]
    ///     async fn agent(name: String, greeting: ppio::State<Greeting>) -> String {
    ///         format!("{}, {name}", greeting.text)
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ppio::StartError> {
    /// use ppio::AgentRuntimeApp;
    /// use ppio::testing::TestAgent;
    ///
    /// let text = "Hi".to_owned();
    /// let app = AgentRuntimeApp::annotated_in(concat!(module_path!(), "::agent"))?;
    /// let app = app.with_state(agent::Greeting { text })?;
    /// let reply = TestAgent::new(app).invoke("Ann").await;
    /// assert_eq!(reply.value::<String>().await, "Hi, Ann");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If no startup function builds a state of this type, or the state already has a value.
    pub fn with_state<T: Send + Sync + 'static>(self, value: T) -> Result<Self, StartError> {
        self.states.replace(value)?;
        Ok(self)
    }

    /// Runs the startup functions and returns the agent as a service, to mount in another server.
    /// [`AgentService::shut_down`] runs the shutdown functions.
    ///
    /// # Errors
    /// If the journal cannot be used, or a startup function fails.
    pub async fn start(self) -> Result<AgentService, StartError> {
        self.settings.warn_about_platform();
        self.open_journal().await?;
        self.agent.lifecycle.start().await?;
        Ok(AgentService::new(self.agent))
    }

    /// Runs the startup functions and listens on the configured address, inside a tokio runtime.
    /// The program itself installs a log subscriber; see [`AgentRuntimeServer::serve`].
    ///
    /// # Errors
    /// If the journal cannot be used, a startup function fails, or the agent cannot listen on the
    /// address. In the last case the shutdown functions run.
    pub async fn bind(self) -> Result<AgentRuntimeServer, StartError> {
        self.settings.warn_about_platform();
        self.open_journal().await?;
        self.agent.lifecycle.start().await?;
        let RuntimeSettings { host, port, .. } = self.settings();
        match AgentRuntimeServer::listen(host, *port, Arc::clone(&self.agent)).await {
            Ok(server) => Ok(server),
            Err(source) => {
                self.agent.shut_down_logged().await;
                Err(StartError::Bind {
                    address: self.settings.address(),
                    source,
                })
            }
        }
    }

    /// Reads the journal, if one is configured.
    async fn open_journal(&self) -> Result<(), StartError> {
        let Some(directory) = &self.settings().journal else {
            return Ok(());
        };
        let runs = Arc::clone(&self.agent.runs);
        let opened = tokio::task::spawn_blocking(move || runs.open_journal()).await;
        opened
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(|reason| StartError::Journal {
                directory: directory.display().to_string(),
                reason,
            })
    }

    /// Returns the agent as a service, to mount in another server or to call without a socket.
    ///
    /// This reads the [journal](crate::RuntimeConfig::journal), if one is configured. If that
    /// fails, the reason is logged, and invocations whose answers would be kept are answered with a
    /// 503.
    ///
    /// # Panics
    /// If the agent has startup or routes functions, which only [`start`](Self::start) can run.
    pub fn into_service(self) -> AgentService {
        assert!(
            self.agent.lifecycle.has_started(),
            "`into_service` cannot run startup functions: call `app.start().await` instead"
        );
        self.into_unstarted_service()
    }

    /// Returns the agent as a service whose caller runs the startup functions.
    pub(crate) fn into_unstarted_service(self) -> AgentService {
        if let Err(reason) = self.agent.runs.open_journal() {
            tracing::error!(reason, "cannot use the journal");
        }
        AgentService::new(self.agent)
    }

    /// Returns the settings in force: the defaults, overridden by the [`RuntimeConfig`], overridden
    /// by the environment.
    pub fn settings(&self) -> &RuntimeSettings {
        &self.settings.values
    }

    /// Returns the description of the agent.
    #[cfg(feature = "otel")]
    pub(super) fn info(&self) -> AgentInfo {
        self.info
    }

    /// Returns the document of `/openapi.json`, if it is served.
    #[cfg(feature = "schema")]
    pub(super) fn openapi(&self) -> Option<bytes::Bytes> {
        let openapi = self.agent.openapi.as_ref()?;
        Some(openapi.document())
    }

    /// Returns `None`, since there is no document without the feature `schema`.
    #[cfg(not(feature = "schema"))]
    #[expect(clippy::unused_self, reason = "the feature `schema` uses it")]
    pub(super) fn openapi(&self) -> Option<bytes::Bytes> {
        None
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
    /// Runs the startup functions and listens on the configured address.
    ///
    /// # Errors
    /// Those of [`AgentRuntimeApp::bind`].
    pub async fn bind(app: AgentRuntimeApp) -> Result<Self, StartError> {
        app.bind().await
    }

    /// Serves until SIGTERM or SIGINT, then shuts down; a second signal aborts what still runs.
    ///
    /// A server installs no log subscriber: it emits `tracing` events with targets that begin with
    /// `ppio`, and the subscriber of the program writes them. A program without a subscriber calls
    /// [`AgentRuntimeApp::start_logging`].
    ///
    /// # Errors
    /// If the system does not deliver signals, or a shutdown function fails.
    pub async fn serve(self) -> Result<(), StartError> {
        let mut signals = Signals::new().map_err(StartError::Runtime)?;
        Ok(self.serve_with(&mut signals).await?)
    }
}

impl AgentService {
    /// Runs the shutdown functions, within the shutdown grace, and sends the remaining telemetry.
    /// The server that mounts the agent calls this once no request runs.
    ///
    /// # Errors
    /// If a shutdown function fails or does not end in time. All shutdown functions run in any
    /// case.
    pub async fn shut_down(&self) -> Result<(), StartError> {
        let agent = self.agent();
        let ended = agent.lifecycle.shut_down(agent.shutdown_deadline()).await;
        #[cfg(feature = "otel")]
        crate::telemetry::flush(crate::telemetry::MAX_FLUSH).await;
        Ok(ended?)
    }
}
