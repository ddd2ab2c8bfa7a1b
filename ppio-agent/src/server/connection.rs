//! One client connection.

use std::future::Future;
use std::sync::Arc;
#[cfg(feature = "websocket")]
use std::sync::{Mutex, PoisonError};

#[cfg(feature = "websocket")]
use http::StatusCode;
use hyper::server::conn::http1;
use ppio_agent_connection::RequestBody;
use tokio::net::TcpStream;

use super::agent::{Agent, ConnectionAgent};
use super::answering::Chunked;
use super::chunked_body::MAX_FRAME;
use super::ingress::Ingress;
use super::router::respond;
#[cfg(feature = "websocket")]
use crate::endpoints::websocket::PendingSession;
use crate::exchange::body::Body;
use crate::exchange::counted::Counted;

/// The size of a connection's buffer for each direction, in bytes. The request line and the headers
/// have to fit into the buffer; for a slow reader, at most this size and one frame are buffered.
const BUFFER_SIZE: usize = 2 * MAX_FRAME;

/// Serves the requests of one connection until it ends or a shutdown begins.
///
/// When the client disconnects, hyper drops the response future or the response body, and with it
/// the handler, which cancels the invocation.
pub(crate) fn serve(
    stream: TcpStream,
    agent: Arc<Agent>,
    is_loopback: bool,
) -> impl Future<Output = ()> {
    // A connection is counted from before its task starts until the task is dropped, even if the
    // task is aborted.
    let counted = agent.connections.get().map(Counted::new);
    serve_counted(stream, agent, is_loopback, counted)
}

async fn serve_counted(
    stream: TcpStream,
    agent: Arc<Agent>,
    is_loopback: bool,
    _counted: Option<Counted>,
) {
    let agent = ConnectionAgent::new(agent);
    // Events are sent when they are written, not when a packet is full.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let mut http = http1::Builder::new();
    http.max_buf_size(BUFFER_SIZE)
        // Copying into one buffer costs less than a vectored write of several frames.
        .writev(false);
    // The WebSocket session of an upgraded request. The session runs after
    // `ppio_agent_connection::serve` has returned.
    #[cfg(feature = "websocket")]
    let session = Mutex::new(None::<PendingSession>);
    let handler = |request: http::Request<RequestBody>| {
        let settings = &agent.settings;
        let (limit, deadline) = (settings.max_request_size, settings.body_timeout);
        let request = request.map(|body| Body::incoming(body, limit, deadline));
        let ingress = Ingress::Listener { is_loopback };
        let answer = respond(agent.clone(), request, ingress);
        #[cfg(feature = "websocket")]
        let answer = async {
            let mut response = answer.await;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                *session.lock().unwrap_or_else(PoisonError::into_inner) =
                    response.extensions_mut().remove::<PendingSession>();
            }
            response
        };
        Chunked::new(answer)
    };
    let limits = &agent.settings.connection;
    let shutdown = agent.shutdown.subscribe();
    let served = ppio_agent_connection::serve(stream, &http, limits, shutdown, handler);
    let served = served.await;
    if let Err(error) = &served {
        tracing::debug!(%error, "connection ended early");
    }
    #[cfg(feature = "websocket")]
    {
        let session = session.into_inner().unwrap_or_else(PoisonError::into_inner);
        if served.is_ok()
            && let Some(session) = session.and_then(|session| session.take())
        {
            session.await;
        }
    }
}
