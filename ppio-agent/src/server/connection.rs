//! One client connection.

use std::sync::Arc;

use hyper::server::conn::http1;
use ppio_agent_connection::RequestBody;
use tokio::net::TcpStream;

use super::agent::{Agent, ConnectionAgent};
use super::answering::Chunked;
use super::chunked_body::MAX_FRAME;
use super::ingress::Ingress;
use super::router::respond;
use crate::exchange::body::Body;

/// The size of a connection's buffer for each direction, in bytes. The head of a request has to
/// fit; at most this and one frame are held for a slow reader.
const BUFFER_SIZE: usize = 2 * MAX_FRAME;

/// Serves the requests of one connection until it ends or a shutdown begins.
///
/// When the client disconnects, hyper drops the response future or the response body, and with it
/// the handler, which cancels the invocation.
pub(crate) async fn serve(stream: TcpStream, agent: Arc<Agent>, is_loopback: bool) {
    let agent = ConnectionAgent::new(agent);
    // Events are sent when they are written, not when a packet is full.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let mut http = http1::Builder::new();
    http.max_buf_size(BUFFER_SIZE)
        // Copying into one buffer costs less than writing several frames at once.
        .writev(false);
    let handler = |request: http::Request<RequestBody>| {
        let settings = &agent.settings;
        let (limit, deadline) = (settings.max_request_size, settings.body_timeout);
        let request = request.map(|body| Body::incoming(body, limit, deadline));
        let ingress = Ingress::Listener { is_loopback };
        Chunked::new(respond(agent.clone(), request, ingress))
    };
    let limits = &agent.settings.connection;
    let shutdown = agent.shutdown.subscribe();
    let served = ppio_agent_connection::serve(stream, &http, limits, shutdown, handler);
    if let Err(error) = served.await {
        tracing::debug!(%error, "connection ended early");
    }
}
