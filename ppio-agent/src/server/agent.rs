//! The state that the requests of one agent share.

use std::ops::Deref;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ppio_agent_connection::Limits;
use ppio_agent_protocol::ByteSize;

use super::cors::Cors;
use super::host::AllowedHosts;
use super::middleware::{Middleware, MiddlewareChains};
use super::shutdown::ShutdownSignal;
use crate::endpoints::entrypoint_schema::{AboutAgent, LazySchema};
use crate::endpoints::index::IndexEndpoint;
use crate::endpoints::mounted::{MountedRoutes, MountedService};
#[cfg(feature = "schema")]
use crate::endpoints::openapi::{AboutService, OpenApi};
use crate::endpoints::ping::Ping;
#[cfg(feature = "websocket")]
use crate::endpoints::websocket::WebSocketEndpoint;
#[cfg(feature = "websocket")]
use crate::endpoints::websocket::call::WebSocketHandler;
#[cfg(feature = "websocket")]
use crate::exchange::body::Request;
use crate::exchange::policies::OnDisconnect;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::invocation::handler::Handler;
use crate::invocation::{Invoker, InvokerWatches};
use crate::lifecycle::Lifecycle;
use crate::lifecycle::states::StateSlot;
#[cfg(feature = "chat")]
use crate::protocols::{ProtocolAgent, Protocols};
use crate::runs::registry::RunRegistry;
use crate::stalls::{AsyncFunctions, Watch};

/// The configuration of connections and requests.
#[derive(Debug, Clone)]
pub(crate) struct ServerSettings {
    pub(crate) cors: Cors,
    pub(crate) allowed_hosts: AllowedHosts,
    pub(crate) max_request_size: ByteSize,
    pub(crate) body_timeout: Duration,
    pub(crate) connection: Limits,
    pub(crate) shutdown_grace: Duration,
    /// Whether there is a route `/metrics`.
    #[cfg(feature = "metrics")]
    pub(crate) enable_metrics: bool,
}

/// A configured agent.
pub(crate) struct Agent {
    pub(crate) settings: ServerSettings,
    pub(crate) chains: MiddlewareChains,
    pub(crate) invoker: Invoker,
    pub(crate) runs: Arc<RunRegistry>,
    pub(crate) ping: Ping,
    pub(crate) index: IndexEndpoint,
    #[cfg(feature = "schema")]
    pub(crate) openapi: Option<OpenApi>,
    #[cfg(feature = "chat")]
    pub(crate) protocols: Arc<Protocols>,
    #[cfg(feature = "websocket")]
    pub(crate) websocket: WebSocketEndpoint,
    /// Whether an invocation goes to the entrypoint directly unless its headers request a run: the
    /// agent has no middleware and no debug mode, does not continue invocations after a disconnect,
    /// and `inspect_runs` is off.
    pub(crate) has_direct_invocations: bool,
    /// The service for the paths that are not the agent's own.
    pub(crate) mounted: Option<MountedRoutes>,
    pub(crate) shutdown: ShutdownSignal,
    pub(crate) lifecycle: Lifecycle,
    /// The functions that are polled on async workers.
    pub(crate) functions: AsyncFunctions,
    /// The number of open connections; not set in a server that mounts the agent.
    pub(crate) connections: OnceLock<Arc<AtomicUsize>>,
}

/// The endpoints other than `POST /invocations`, and the watches of the agent's functions.
pub(crate) struct Endpoints {
    pub(crate) ping: Ping,
    #[cfg(feature = "websocket")]
    pub(crate) websocket: Option<WebSocketHandler>,
    /// All functions of the agent that are polled on async workers.
    pub(crate) functions: AsyncFunctions,
    pub(crate) watches: Watches,
}

/// Watches the functions of the endpoints while they are polled.
pub(crate) struct Watches {
    pub(crate) invoker: InvokerWatches,
    #[cfg(feature = "websocket")]
    pub(crate) websocket: Watch,
}

impl Agent {
    pub(crate) fn new(
        settings: ServerSettings,
        values: RuntimeSettings,
        handler: Handler,
        middleware: Vec<Middleware>,
        endpoints: Endpoints,
        about: AboutAgent,
        lifecycle: Lifecycle,
    ) -> Self {
        let schema = Arc::new(LazySchema::new(about.schema));
        #[cfg(feature = "chat")]
        let protocols = Arc::new(Protocols::new(&values, about.info, Arc::clone(&schema)));
        let shutdown = ShutdownSignal::new();
        #[cfg(feature = "websocket")]
        let websocket = WebSocketEndpoint::new(
            endpoints.websocket,
            &values,
            shutdown.subscribe(),
            endpoints.watches.websocket,
        );
        #[cfg(feature = "websocket")]
        let has_websocket = websocket.has_handler();
        #[cfg(not(feature = "websocket"))]
        let has_websocket = false;
        #[cfg(feature = "schema")]
        let openapi = values.enable_openapi.then(|| {
            let about = AboutService {
                agent: about.info,
                has_metrics: values.enable_metrics,
                has_websocket,
                #[cfg(feature = "chat")]
                protocols: protocols.operations(),
                #[cfg(not(feature = "chat"))]
                protocols: Vec::new(),
            };
            OpenApi::new(about, Arc::clone(&schema))
        });
        let index = IndexEndpoint::new(&values, about.info, has_websocket, schema);
        let chains = MiddlewareChains::new(middleware);
        let has_middleware = !chains.invocations.is_empty();
        let continues = values.on_disconnect == OnDisconnect::Continue;
        let has_direct_invocations =
            !has_middleware && !continues && !values.debug && !values.inspect_runs;
        Self {
            settings,
            runs: RunRegistry::new(&values),
            #[cfg(feature = "websocket")]
            websocket,
            invoker: Invoker::new(
                handler,
                values,
                has_middleware,
                shutdown.subscribe(),
                endpoints.watches.invoker,
            ),
            chains,
            ping: endpoints.ping,
            index,
            #[cfg(feature = "schema")]
            openapi,
            #[cfg(feature = "chat")]
            protocols,
            has_direct_invocations,
            mounted: None,
            shutdown,
            lifecycle,
            functions: endpoints.functions,
            connections: OnceLock::new(),
        }
    }

    /// Mounts a service for the paths that are not the agent's own; a startup function may build
    /// the service.
    pub(crate) fn mount(&mut self, service: StateSlot<MountedService>, watch: Watch) {
        let shutdown = self.shutdown.subscribe();
        let routes = MountedRoutes::new(service, self.invoker.settings(), shutdown, watch);
        self.mounted = Some(routes);
    }

    /// Whether a request is for the WebSocket endpoint. If there is no WebSocket function, and the
    /// author has routes, the routes serve `/ws`.
    #[cfg(feature = "websocket")]
    pub(crate) fn takes_websocket(&self, request: &Request) -> bool {
        (self.mounted.is_none() || self.websocket.has_handler()) && self.websocket.takes(request)
    }

    /// Whether a function serves WebSockets.
    #[cfg(feature = "metrics")]
    #[cfg_attr(
        not(feature = "websocket"),
        expect(clippy::unused_self, reason = "no agent has one without the feature")
    )]
    pub(crate) fn has_websocket(&self) -> bool {
        #[cfg(feature = "websocket")]
        return self.websocket.has_handler();
        #[cfg(not(feature = "websocket"))]
        return false;
    }

    /// Whether the sandbox has to be kept, because of background work or a long-running request.
    pub(crate) fn is_busy(&self) -> bool {
        let mounted = self.mounted.as_ref();
        self.invoker.is_busy()
            || self.runs.is_busy()
            || mounted.is_some_and(|routes| routes.admission().has_long())
    }
}

/// The minimum time for shutdown functions, even if running requests took the whole grace.
pub(crate) const MIN_SHUTDOWN: Duration = Duration::from_secs(1);

impl Agent {
    /// Returns the time by which shutdown functions that start now have to end.
    pub(crate) fn shutdown_deadline(&self) -> Instant {
        Instant::now() + self.settings.shutdown_grace.max(MIN_SHUTDOWN)
    }

    /// Runs the shutdown functions, and logs their failure.
    pub(crate) async fn shut_down_logged(&self) {
        let shutdown = self.lifecycle.shut_down(self.shutdown_deadline());
        if let Err(error) = shutdown.await {
            tracing::error!("{error}");
        }
    }
}

/// The agent, shared by the requests of one connection. A clone increments a reference count of
/// that connection; see [`PerConnection`](crate::exchange::per_connection::PerConnection).
#[derive(Clone)]
pub(crate) struct ConnectionAgent(Arc<ConnectionState>);

struct ConnectionState {
    agent: Arc<Agent>,
    invoker: Invoker,
}

impl ConnectionAgent {
    pub(crate) fn new(agent: Arc<Agent>) -> Self {
        Self(Arc::new(ConnectionState {
            invoker: agent.invoker.for_connection(),
            agent,
        }))
    }

    /// Returns the agent with its handler replaced by the result of `map`.
    pub(crate) fn map_handler(&self, map: impl FnOnce(Handler) -> Handler) -> Self {
        Self(Arc::new(ConnectionState {
            invoker: self.0.agent.invoker.for_connection().map_handler(map),
            agent: Arc::clone(&self.0.agent),
        }))
    }

    /// Returns the invoker of this connection.
    pub(crate) fn invoker(&self) -> &Invoker {
        &self.0.invoker
    }

    /// Returns the parts of the agent that the protocols use.
    #[cfg(feature = "chat")]
    pub(crate) fn protocol_agent(&self) -> ProtocolAgent<'_> {
        ProtocolAgent {
            protocols: &self.protocols,
            runs: &self.runs,
            invoker: self.invoker(),
        }
    }
}

impl Deref for ConnectionAgent {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.0.agent
    }
}
