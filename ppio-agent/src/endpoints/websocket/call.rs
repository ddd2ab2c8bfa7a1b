//! The data that a session passes to the user function.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ppio_agent_websocket::WebSocket;

use crate::exchange::context::RequestContext;
use crate::exchange::error::Error;
use crate::invocation::parameter::HasContext;

/// A function for WebSockets of any signature, shared by all connections.
pub(crate) type WebSocketHandler = Arc<dyn Fn(WebSocketCall) -> WebSocketFuture + Send + Sync>;

/// The future that a [`WebSocketHandler`] returns.
pub(crate) type WebSocketFuture = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// One call of the user function.
pub struct WebSocketCall {
    pub(super) socket: WebSocket,
    pub(super) context: RequestContext,
}

impl HasContext for WebSocketCall {
    fn context(&self) -> &RequestContext {
        &self.context
    }
}

/// Creates a handler from a function that takes a `WebSocketCall`.
pub fn websocket_handler<F, R>(function: F) -> WebSocketHandler
where
    F: Fn(WebSocketCall) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), Error>> + Send + 'static,
{
    Arc::new(move |call| Box::pin(function(call)))
}
