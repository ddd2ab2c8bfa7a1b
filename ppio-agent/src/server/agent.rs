//! The state that the requests of one agent share.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ppio_agent_connection::Limits;
use ppio_agent_protocol::ByteSize;

use super::cors::Cors;
use super::host::AllowedHosts;
use super::middleware::{Middleware, MiddlewareChains};
use super::shutdown::Shutdown;
use crate::endpoints::entrypoint_schema::{AboutAgent, LazySchema};
use crate::endpoints::index::Index;
use crate::endpoints::ping::Ping;
#[cfg(feature = "websocket")]
use crate::endpoints::websocket::WebSocketEndpoint;
#[cfg(feature = "websocket")]
use crate::endpoints::websocket::call::WebSocketHandler;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::invocation::Invoker;
use crate::invocation::handler::Handler;
use crate::lifecycle::Lifecycle;
#[cfg(feature = "chat")]
use crate::protocols::Protocols;
use crate::runs::registry::RunRegistry;

/// What the configuration says about connections and requests.
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
    pub(crate) index: Index,
    #[cfg(feature = "chat")]
    pub(crate) protocols: Protocols,
    #[cfg(feature = "websocket")]
    pub(crate) websocket: WebSocketEndpoint,
    pub(crate) shutdown: Shutdown,
    pub(crate) lifecycle: Lifecycle,
}

/// The endpoints beside `POST /invocations`.
pub(crate) struct Endpoints {
    pub(crate) ping: Ping,
    #[cfg(feature = "websocket")]
    pub(crate) websocket: Option<WebSocketHandler>,
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
        let protocols = Protocols::new(values.protocols.clone(), about.info, Arc::clone(&schema));
        let shutdown = Shutdown::new();
        #[cfg(feature = "websocket")]
        let websocket = WebSocketEndpoint::new(endpoints.websocket, &values, shutdown.subscribe());
        #[cfg(feature = "websocket")]
        let has_websocket = websocket.has_handler();
        #[cfg(not(feature = "websocket"))]
        let has_websocket = false;
        let index = Index::new(&values, about.info, has_websocket, schema);
        let chains = MiddlewareChains::new(middleware);
        let has_middleware = !chains.invocations.is_empty();
        Self {
            settings,
            runs: RunRegistry::new(&values),
            #[cfg(feature = "websocket")]
            websocket,
            invoker: Invoker::new(handler, values, has_middleware, shutdown.subscribe()),
            chains,
            ping: endpoints.ping,
            index,
            #[cfg(feature = "chat")]
            protocols,
            shutdown,
            lifecycle,
        }
    }
}

/// What a shutdown function has at least, if running requests took the whole grace.
pub(crate) const MIN_SHUTDOWN: Duration = Duration::from_secs(1);

impl Agent {
    /// When shutdown functions have to end that begin to run now.
    pub(crate) fn shutdown_deadline(&self) -> Instant {
        Instant::now() + self.settings.shutdown_grace.max(MIN_SHUTDOWN)
    }

    /// Runs the shutdown functions, and logs which fail.
    pub(crate) async fn shut_down_logged(&self) {
        let shutdown = self.lifecycle.shut_down(self.shutdown_deadline());
        if let Err(error) = shutdown.await {
            tracing::error!("{error}");
        }
    }
}

/// The agent as the requests of one connection share it. A clone counts a reference that belongs to
/// the connection; see [`PerConnection`](crate::exchange::per_connection::PerConnection).
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

    /// The invoker of this connection.
    pub(crate) fn invoker(&self) -> &Invoker {
        &self.0.invoker
    }
}

impl Deref for ConnectionAgent {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.0.agent
    }
}
