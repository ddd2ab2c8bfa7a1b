//! One client connection.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
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

/// The size of a connection's buffer for each direction, in bytes. The head of a request has to
/// fit; at most this and one frame are held for a slow reader.
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
    // Counted before its task is there.
    let open = OpenConnection::of(&agent);
    serve_open(stream, agent, is_loopback, open)
}

async fn serve_open(
    stream: TcpStream,
    agent: Arc<Agent>,
    is_loopback: bool,
    _open: OpenConnection,
) {
    let agent = ConnectionAgent::new(agent);
    // Events are sent when they are written, not when a packet is full.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let mut http = http1::Builder::new();
    http.max_buf_size(BUFFER_SIZE)
        // Copying into one buffer costs less than writing several frames at once.
        .writev(false);
    // The session of a request that is upgraded, which runs once the connection is handed over.
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

/// Counts a connection until it ends, also if its task is aborted.
struct OpenConnection(Arc<Agent>);

impl OpenConnection {
    fn of(agent: &Arc<Agent>) -> Self {
        if let Some(connections) = agent.connections.get() {
            connections.fetch_add(1, Ordering::Relaxed);
        }
        Self(Arc::clone(agent))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        if let Some(connections) = self.0.connections.get() {
            connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
