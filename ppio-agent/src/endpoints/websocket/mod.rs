//! `/ws`: a request that becomes a WebSocket.

pub(crate) mod call;
pub(crate) mod function;
mod pending;
mod session;

use std::sync::Arc;

use http::StatusCode;
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use ppio_agent_websocket::{SocketLimits, accept, is_upgrade};
use tokio::sync::watch;

use self::call::WebSocketHandler;
pub(crate) use self::pending::PendingSession;
use self::session::Session;
use crate::exchange::Exchange;
use crate::exchange::body::{Body, Request, Response};
use crate::exchange::context::RequestContext;
use crate::exchange::error::Error;
use crate::exchange::policies::OnDisconnect;
use crate::exchange::protocol::Protocol;
use crate::exchange::rejection::Rejection;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::invocation::Invoker;
use crate::invocation::guard::InvocationGuard;
use crate::stalls::Watch;

/// The path of the endpoint.
const PATH: &str = "/ws";

/// The endpoint.
pub(crate) struct WebSocketEndpoint {
    handler: Option<WebSocketHandler>,
    is_enabled: bool,
    /// Watches the function while it is polled.
    watch: Watch,
    limits: SocketLimits,
    /// Whether a function runs on when its client has disconnected.
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

    /// Whether a function serves WebSockets.
    pub(crate) fn has_handler(&self) -> bool {
        self.is_enabled && self.handler.is_some()
    }

    /// Whether a request is one for this endpoint. Without a function for WebSockets only a
    /// handshake is, which is accepted and closed with 1011, as AgentCore's runtime does.
    pub(crate) fn takes(&self, request: &Request) -> bool {
        self.is_enabled
            && request.uri().path() == PATH
            && (self.handler.is_some() || is_upgrade(request.headers()))
    }

    /// Accepts a handshake. The response has the [`PendingSession`] in its extensions.
    pub(crate) fn answer(
        &self,
        invoker: &Invoker,
        exchange: &Exchange,
        mut request: Request,
    ) -> Result<Response, Error> {
        if !is_upgrade(request.headers()) {
            return Err(Rejection::UpgradeRequired.into());
        }
        let has_body = !request.body().is_end_stream();
        let headers = accept(&request, has_body).map_err(Rejection::Handshake)?;
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let upgrade = upgrade.ok_or(Rejection::NoUpgrade)?;
        let session = match &self.handler {
            Some(handler) => {
                let context = context(invoker, exchange, request);
                let guard = InvocationGuard::begin(invoker.admission(), exchange, context)?;
                let session = Session {
                    handler: Arc::clone(handler),
                    watch: self.watch,
                    guard,
                    span: exchange.span.clone(),
                    started: exchange.started,
                    limits: self.limits,
                    outlives_client: self.outlives_client,
                    shutdown: self.shutdown.clone(),
                };
                PendingSession::new(session.run(upgrade))
            }
            None => PendingSession::new(session::refuse(upgrade, self.limits)),
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().extend(headers);
        response.extensions_mut().insert(session);
        Ok(response)
    }
}

fn context(invoker: &Invoker, exchange: &Exchange, request: Request) -> RequestContext {
    let (parts, _) = request.into_parts();
    let context = invoker.context(exchange, parts.headers, parts.extensions);
    // The response is sent before the function is called.
    context.without_response_deadline()
}
