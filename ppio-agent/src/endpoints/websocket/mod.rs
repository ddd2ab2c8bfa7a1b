//! `/ws`: handshake requests, each of which is upgraded to a WebSocket.

pub(crate) mod call;
pub(crate) mod function;
mod pending;
mod session;

#[cfg(feature = "ag-ui")]
use std::future::Future;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
#[cfg(feature = "ag-ui")]
use ppio_agent_websocket::WebSocket;
use ppio_agent_websocket::{SocketLimits, accept, is_upgrade};
use tokio::sync::watch;

use self::call::WebSocketHandler;
pub(crate) use self::pending::PendingSession;
use self::session::{SessionFunction, SocketSession};
use crate::exchange::Exchange;
use crate::exchange::body::{Body, Request, Response};
use crate::exchange::context::RequestContext;
use crate::exchange::error::Error;
use crate::exchange::platform::Platform;
use crate::exchange::policies::OnDisconnect;
use crate::exchange::protocol::Protocol;
use crate::exchange::rejection::Rejection;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::invocation::Invoker;
use crate::invocation::guard::InvocationGuard;
use crate::stalls::Watch;

/// The path of the endpoint.
const PATH: &str = "/ws";

/// The endpoint `/ws`.
pub(crate) struct WebSocketEndpoint {
    handler: Option<WebSocketHandler>,
    is_enabled: bool,
    /// Watches the user function while its future is polled.
    watch: Watch,
    /// Whether a platform calls a protocol at `/ws`. The protocol creates a handler for each
    /// handshake.
    serves_protocol: bool,
    limits: SocketLimits,
    /// Whether a function continues after its client has disconnected.
    outlives_client: bool,
    /// Changes when a shutdown begins.
    shutdown: watch::Receiver<()>,
}

impl WebSocketEndpoint {
    pub(crate) fn new(
        handler: Option<WebSocketHandler>,
        settings: &RuntimeSettings,
        shutdown: watch::Receiver<()>,
        watch: Watch,
    ) -> Self {
        let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        Self {
            handler,
            watch,
            is_enabled: settings.protocols.contains(&Protocol::WebSocket),
            serves_protocol: settings.platform == Some(Platform::AgentCoreAgUi),
            limits: SocketLimits {
                max_frame_size: bytes(settings.websocket_max_frame_size.bytes()),
                max_message_size: bytes(settings.websocket_max_message_size.bytes()),
                idle_timeout: settings.websocket_idle_timeout,
                heartbeat: settings.heartbeat,
                write_timeout: settings.write_timeout,
            },
            outlives_client: settings.on_disconnect == OnDisconnect::Continue,
            shutdown,
        }
    }

    /// Whether a function or a protocol serves WebSockets.
    pub(crate) fn has_handler(&self) -> bool {
        self.is_enabled && (self.serves_protocol || self.handler.is_some())
    }

    /// Whether a platform calls a protocol at `/ws`.
    #[cfg(feature = "ag-ui")]
    pub(crate) fn serves_protocol(&self) -> bool {
        self.serves_protocol
    }

    /// Whether a request is for this endpoint. If neither a function nor a protocol serves
    /// WebSockets, this is true for handshakes only: a handshake is accepted, and the WebSocket is
    /// closed with the code 1011, the one of AgentCore's runtime.
    pub(crate) fn takes(&self, request: &Request) -> bool {
        self.is_enabled
            && request.uri().path() == PATH
            && (self.has_handler() || is_upgrade(request.headers()))
    }

    /// Accepts a handshake. The response has the [`PendingSession`] in its extensions.
    pub(crate) fn answer(
        &self,
        invoker: &Invoker,
        exchange: &Exchange,
        mut request: Request,
    ) -> Result<Response, Error> {
        let (headers, upgrade) = accepted(&mut request)?;
        let session = match &self.handler {
            Some(handler) => {
                let context = context(invoker, exchange, request.into_parts().0);
                let handler = Arc::clone(handler);
                let function: SessionFunction = Box::new(move |call| handler(call));
                let guard = InvocationGuard::begin(invoker.admission(), exchange, context.clone())?;
                let session = self.session(exchange, function, context, Some(guard));
                PendingSession::new(session.run(upgrade))
            }
            None => PendingSession::new(session::refuse(upgrade, self.limits)),
        };
        Ok(switching(headers, session))
    }

    /// Accepts a handshake for a protocol, whose handler begins an invocation itself. The handler
    /// is called with the socket, the parts of the handshake request, and a receiver that changes
    /// when a shutdown begins.
    #[cfg(feature = "ag-ui")]
    pub(crate) fn answer_with<F, R>(
        &self,
        invoker: &Invoker,
        exchange: &Exchange,
        mut request: Request,
        handler: F,
    ) -> Result<Response, Error>
    where
        F: FnOnce(WebSocket, Parts, watch::Receiver<()>) -> R + Send + 'static,
        R: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let (headers, upgrade) = accepted(&mut request)?;
        let (parts, _) = request.into_parts();
        let context = context(invoker, exchange, parts.clone());
        let shutdown = self.shutdown.clone();
        let function: SessionFunction =
            Box::new(move |call| Box::pin(handler(call.socket, parts, shutdown)));
        let session = self.session(exchange, function, context, None);
        Ok(switching(
            headers,
            PendingSession::new(session.run(upgrade)),
        ))
    }

    fn session(
        &self,
        exchange: &Exchange,
        function: SessionFunction,
        context: RequestContext,
        guard: Option<InvocationGuard>,
    ) -> SocketSession {
        SocketSession {
            function,
            watch: self.watch,
            context,
            guard,
            span: exchange.span.clone(),
            started: exchange.started,
            limits: self.limits,
            outlives_client: self.outlives_client,
            shutdown: self.shutdown.clone(),
        }
    }
}

/// Returns the headers of the response to a handshake, and the future of the upgraded connection.
fn accepted(request: &mut Request) -> Result<(HeaderMap, OnUpgrade), Error> {
    if !is_upgrade(request.headers()) {
        return Err(Rejection::UpgradeRequired.into());
    }
    let has_body = !request.body().is_end_stream();
    let headers = accept(request, has_body).map_err(Rejection::Handshake)?;
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let upgrade = upgrade.ok_or(Rejection::NoUpgrade)?;
    Ok((headers.into_iter().collect(), upgrade))
}

fn switching(headers: HeaderMap, session: PendingSession) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().extend(headers);
    response.extensions_mut().insert(session);
    response
}

fn context(invoker: &Invoker, exchange: &Exchange, parts: Parts) -> RequestContext {
    let context = invoker.context(exchange, parts.headers, parts.extensions);
    // The response is sent before the function is called.
    context.without_response_deadline()
}
