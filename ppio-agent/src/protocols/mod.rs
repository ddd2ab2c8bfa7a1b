//! Protocols that call the agent, in addition to `POST /invocations`.
//!
//! Each protocol converts its request to the body of an invocation, usually an
//! [`InvocationRequest`](ppio_agent_protocol::InvocationRequest), which [`call::invoke`] answers as
//! `POST /invocations` would, and writes the [`items`] of the answer as its own events ([`events`])
//! or as one answer ([`whole`]). So limits, deadlines, cancellation, middleware, counters and runs
//! are the same for all protocols. A protocol writes the JSON of an event; [`events`] writes the
//! lines of the event stream.

#[cfg(feature = "a2a")]
mod a2a;
#[cfg(feature = "ag-ui")]
mod ag_ui;
pub(crate) mod call;
pub(crate) mod events;
pub(crate) mod items;
#[cfg(feature = "mcp")]
mod kept_open;
#[cfg(feature = "mcp")]
mod mcp;
#[cfg(feature = "openai")]
mod openai;
mod path_table;
#[cfg(feature = "ui-stream")]
mod ui_stream;
pub(crate) mod whole;

#[cfg(all(feature = "ag-ui", feature = "websocket"))]
pub(crate) use self::ag_ui::serve_socket;

use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use self::path_table::Methods;
use crate::endpoints::entrypoint_schema::LazySchema;
#[cfg(feature = "schema")]
use crate::endpoints::openapi::ProtocolOperation;
use crate::exchange::Exchange;
use crate::exchange::agent_info::AgentInfo;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::platform::Platform;
use crate::exchange::protocol::Protocol;
use crate::exchange::rejection::Rejection;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::invocation::Invoker;
use crate::runs::registry::RunRegistry;

/// The protocols that are served.
pub(crate) struct Protocols {
    enabled: Vec<Protocol>,
    /// The platform, which may call a protocol at one of the agent's own paths.
    platform: Option<Platform>,
    agent: AgentInfo,
    schema: Arc<LazySchema>,
    #[cfg(feature = "a2a")]
    push: Arc<a2a::PushNotifications>,
}

/// The protocol of a path, and the methods of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProtocolRoute {
    pub(crate) protocol: Protocol,
    methods: &'static Methods,
}

/// The methods of the agent's own path at which the platform calls a protocol.
const METHODS_OF_PLATFORM: &Methods =
    &Methods::Post("Calls the agent by the protocol of the platform");

/// The parts of the agent that a protocol uses to answer a request.
pub(crate) struct ProtocolAgent<'a> {
    pub(crate) protocols: &'a Arc<Protocols>,
    pub(crate) runs: &'a Arc<RunRegistry>,
    pub(crate) invoker: &'a Invoker,
}

/// An owned [`ProtocolAgent`], for an answer that is not ready when its response begins.
#[cfg(feature = "mcp")]
pub(crate) struct SharedAgent {
    protocols: Arc<Protocols>,
    runs: Arc<RunRegistry>,
    invoker: Invoker,
}

#[cfg(feature = "mcp")]
impl ProtocolAgent<'_> {
    pub(crate) fn to_shared(&self) -> SharedAgent {
        SharedAgent {
            protocols: Arc::clone(self.protocols),
            runs: Arc::clone(self.runs),
            invoker: self.invoker.for_connection(),
        }
    }
}

#[cfg(feature = "mcp")]
impl SharedAgent {
    pub(crate) fn get(&self) -> ProtocolAgent<'_> {
        ProtocolAgent {
            protocols: &self.protocols,
            runs: &self.runs,
            invoker: &self.invoker,
        }
    }
}

impl Protocols {
    pub(crate) fn new(
        settings: &RuntimeSettings,
        agent: AgentInfo,
        schema: Arc<LazySchema>,
    ) -> Self {
        Self {
            enabled: settings.protocols.clone(),
            platform: settings.platform,
            agent,
            schema,
            #[cfg(feature = "a2a")]
            push: a2a::PushNotifications::new(settings.a2a_push_private),
        }
    }

    /// Returns the name, the version and the description of the agent.
    pub(crate) fn agent(&self) -> &AgentInfo {
        &self.agent
    }

    /// Returns the schemas of the agent's request and reply.
    pub(crate) fn schema(&self) -> &LazySchema {
        &self.schema
    }

    /// Returns the push notifications of A2A.
    #[cfg(feature = "a2a")]
    pub(crate) fn push(&self) -> &Arc<a2a::PushNotifications> {
        &self.push
    }

    /// Returns the route of one of the agent's own paths, if the platform calls a protocol there.
    pub(crate) fn route_of_platform(&self, path: &str) -> Option<ProtocolRoute> {
        if self.path_of_platform()? != path {
            return None;
        }
        let protocol = self.platform?.protocol()?;
        Some(ProtocolRoute {
            protocol,
            methods: METHODS_OF_PLATFORM,
        })
    }

    /// Returns the agent's own path at which the platform calls a protocol.
    fn path_of_platform(&self) -> Option<&'static str> {
        match self.platform? {
            Platform::AgentCoreAgUi => Some("/invocations"),
            Platform::AgentCoreA2a => Some("/"),
            Platform::AgentCore | Platform::AgentCoreMcp => None,
        }
    }

    /// Returns the route of a path, if the path belongs to a protocol that is served.
    pub(crate) fn route(&self, path: &str) -> Option<ProtocolRoute> {
        self.enabled.iter().find_map(|&protocol| {
            let methods = match protocol {
                #[cfg(feature = "openai")]
                Protocol::OpenAi => openai::PATHS.methods(path)?,
                #[cfg(feature = "ag-ui")]
                Protocol::AgUi => ag_ui::PATHS.methods(path)?,
                #[cfg(feature = "a2a")]
                Protocol::A2a => a2a::PATHS.methods(path)?,
                #[cfg(feature = "mcp")]
                Protocol::Mcp => mcp::PATHS.methods(path)?,
                #[cfg(feature = "ui-stream")]
                Protocol::UiStream => ui_stream::PATHS.methods(path)?,
                _ => return None,
            };
            Some(ProtocolRoute { protocol, methods })
        })
    }

    /// Returns the operations of the protocols that are served, for the `OpenAPI` document.
    #[cfg(feature = "schema")]
    pub(crate) fn operations(&self) -> Vec<ProtocolOperation> {
        let all = self.enabled.iter().flat_map(|&protocol| match protocol {
            #[cfg(feature = "openai")]
            Protocol::OpenAi => openai::PATHS.operations(protocol),
            #[cfg(feature = "ag-ui")]
            Protocol::AgUi => ag_ui::PATHS.operations(protocol),
            #[cfg(feature = "a2a")]
            Protocol::A2a => a2a::PATHS.operations(protocol),
            #[cfg(feature = "mcp")]
            Protocol::Mcp => mcp::PATHS.operations(protocol),
            #[cfg(feature = "ui-stream")]
            Protocol::UiStream => ui_stream::PATHS.operations(protocol),
            _ => Vec::new(),
        });
        let of_platform = self.platform.and_then(|platform| {
            let protocol = platform.protocol()?;
            let path = self.path_of_platform()?;
            Some(METHODS_OF_PLATFORM.operations(protocol, path))
        });
        all.chain(of_platform.into_iter().flatten()).collect()
    }
}

impl ProtocolRoute {
    /// Returns the name of the protocol.
    pub(crate) fn name(self) -> &'static str {
        self.protocol.as_str()
    }

    /// Returns the methods of the path, as the value of an `Allow` header.
    pub(crate) fn allow(self) -> &'static str {
        self.methods.allow()
    }

    /// Whether the path supports a method; `OPTIONS` is answered earlier.
    pub(crate) fn has(self, method: &Method) -> bool {
        self.methods.has(method)
    }

    /// Returns the function that writes the body of an error in the protocol.
    pub(crate) fn error_body(self) -> fn(&Failure) -> Bytes {
        match self.protocol {
            #[cfg(feature = "openai")]
            Protocol::OpenAi => openai::error_body,
            #[cfg(feature = "ag-ui")]
            Protocol::AgUi => ag_ui::error_body,
            #[cfg(feature = "a2a")]
            Protocol::A2a => a2a::error_body,
            #[cfg(feature = "mcp")]
            Protocol::Mcp => mcp::error_body,
            #[cfg(feature = "ui-stream")]
            Protocol::UiStream => ui_stream::error_body,
            _ => |_| Bytes::new(),
        }
    }

    /// Answers a request.
    pub(crate) async fn answer(
        self,
        agent: &ProtocolAgent<'_>,
        exchange: &Exchange,
        request: Request,
    ) -> Result<Response, Error> {
        match self.protocol {
            #[cfg(feature = "openai")]
            Protocol::OpenAi => openai::answer(agent, exchange, request).await,
            #[cfg(feature = "ag-ui")]
            Protocol::AgUi => ag_ui::answer(agent, exchange, request).await,
            #[cfg(feature = "a2a")]
            Protocol::A2a => a2a::answer(agent, exchange, request).await,
            #[cfg(feature = "mcp")]
            Protocol::Mcp => mcp::answer(agent, exchange, request).await,
            #[cfg(feature = "ui-stream")]
            Protocol::UiStream => ui_stream::answer(agent, exchange, request).await,
            _ => Err(Rejection::no_route(request.uri().path()).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_path_has_its_route() {
        #[cfg(feature = "openai")]
        super::openai::PATHS.check();
        #[cfg(feature = "ag-ui")]
        super::ag_ui::PATHS.check();
        #[cfg(feature = "a2a")]
        super::a2a::PATHS.check();
        #[cfg(feature = "mcp")]
        super::mcp::PATHS.check();
        #[cfg(feature = "ui-stream")]
        super::ui_stream::PATHS.check();
    }
}
