//! The routes of an agent: the route of each path, and the methods of each route.

#[cfg(feature = "chat")]
use bytes::Bytes;
use http::Method;

use crate::endpoints::runs::RunRoute;
#[cfg(feature = "chat")]
use crate::exchange::failure::Failure;
use crate::exchange::protocol::Protocol;
#[cfg(feature = "chat")]
use crate::protocols::ProtocolRoute;
use crate::server::agent::Agent;
use crate::telemetry::RequestKind;

/// The endpoint that answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Invocations,
    Run(RunRoute),
    Ping,
    Index,
    #[cfg(feature = "schema")]
    OpenApi,
    #[cfg(feature = "websocket")]
    WebSocket,
    #[cfg(feature = "metrics")]
    Metrics,
    #[cfg(feature = "chat")]
    Protocol(ProtocolRoute),
    Unknown,
}

impl Route {
    #[inline]
    pub(super) fn of(path: &str, agent: &Agent) -> Self {
        match path {
            "/invocations" => Self::of_platform(path, agent).unwrap_or(Self::Invocations),
            "/ping" => Self::Ping,
            "/" => Self::of_platform(path, agent).unwrap_or(Self::Index),
            #[cfg(feature = "metrics")]
            "/metrics" if agent.settings.enable_metrics => Self::Metrics,
            #[cfg(feature = "schema")]
            "/openapi.json" if agent.openapi.is_some() => Self::OpenApi,
            path => match RunRoute::of(path) {
                Some((route, _)) => Self::Run(route),
                None => Self::of_protocol(path, agent),
            },
        }
    }

    /// Returns the protocol route of one of the agent's own paths, if the platform calls a protocol
    /// at that path.
    #[cfg(feature = "chat")]
    fn of_platform(path: &str, agent: &Agent) -> Option<Self> {
        agent.protocols.route_of_platform(path).map(Self::Protocol)
    }

    #[cfg(not(feature = "chat"))]
    fn of_platform(_: &str, _: &Agent) -> Option<Self> {
        None
    }

    #[cfg(feature = "chat")]
    fn of_protocol(path: &str, agent: &Agent) -> Self {
        let route = agent.protocols.route(path);
        route.map_or(Self::Unknown, Self::Protocol)
    }

    #[cfg(not(feature = "chat"))]
    fn of_protocol(_: &str, _: &Agent) -> Self {
        Self::Unknown
    }

    /// Returns the protocol of a WebSocket or protocol route; `None` for any other route.
    #[inline]
    pub(super) fn protocol(self) -> Option<Protocol> {
        match self {
            #[cfg(feature = "websocket")]
            Self::WebSocket => Some(Protocol::WebSocket),
            #[cfg(feature = "chat")]
            Self::Protocol(route) => Some(route.protocol),
            _ => None,
        }
    }

    /// Returns the function that writes the body of an error in the protocol of the route.
    #[cfg(feature = "chat")]
    pub(super) fn error_body(self) -> Option<fn(&Failure) -> Bytes> {
        match self {
            Self::Protocol(route) => Some(route.error_body()),
            _ => None,
        }
    }

    /// Returns the methods of the route, as an `Allow` header.
    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::Invocations => "GET, HEAD, POST, OPTIONS",
            Self::Run(route) => route.allow(),
            #[cfg(feature = "chat")]
            Self::Protocol(route) => route.allow(),
            #[cfg(feature = "websocket")]
            Self::WebSocket => "GET, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }

    /// Whether the route is `/invocations` or the WebSocket, where an invalid header is rejected.
    #[inline]
    pub(super) fn is_invocation(self) -> bool {
        match self {
            Self::Invocations => true,
            #[cfg(feature = "websocket")]
            Self::WebSocket => true,
            _ => false,
        }
    }

    /// Returns the kind of a request of the route; `None` if the runtime itself answers it.
    #[inline]
    pub(super) fn request_kind(self, method: &Method, agent: &Agent) -> Option<RequestKind> {
        match self {
            Self::Invocations if method == Method::POST => Some(RequestKind::Invocation),
            #[cfg(feature = "chat")]
            Self::Protocol(route) if method == Method::POST => {
                Some(RequestKind::Protocol(route.name()))
            }
            #[cfg(feature = "websocket")]
            Self::WebSocket => Some(RequestKind::WebSocket),
            Self::Unknown if agent.mounted.is_some() => Some(RequestKind::Route),
            _ => None,
        }
    }

    pub(super) fn has(self, method: &Method) -> bool {
        match self {
            Self::Run(route) => route.has(method),
            #[cfg(feature = "chat")]
            Self::Protocol(route) => route.has(method),
            // Any method is accepted here: the author's routes check the method themselves, and in
            // an agent without such routes the path is rejected.
            Self::Unknown => true,
            Self::Invocations if method == Method::POST => true,
            #[cfg(feature = "websocket")]
            Self::WebSocket => method == Method::GET,
            _ => method == Method::GET || method == Method::HEAD,
        }
    }
}
