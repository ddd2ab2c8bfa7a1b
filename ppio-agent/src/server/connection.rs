//! One client connection.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::server::conn::http1::{self, Connection};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;

use super::agent::{Agent, ConnectionAgent};
use super::chunked_body::{ChunkedBody, MAX_FRAME};
use super::ingress::Ingress;
use super::router::respond;
use super::shutdown::run_until_shutdown;
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
    let settings = &agent.settings;
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(settings.write_timeout));
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let agent = agent.clone();
        let ingress = Ingress::Listener { is_loopback };
        async move {
            let settings = &agent.settings;
            let (limit, deadline) = (settings.max_request_size, settings.body_timeout);
            let request = request.map(|body| Body::incoming(body, limit, deadline));
            Ok::<_, Infallible>(respond(agent, request, ingress).await.map(ChunkedBody::new))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(BUFFER_SIZE)
        // Copying into one buffer costs less than writing several frames at once.
        .writev(false)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let shutdown = agent.shutdown.subscribe();
    let served = run_until_shutdown(connection, shutdown, Connection::graceful_shutdown);
    if let Err(error) = served.await {
        // Clients cause invalid heads, resets and timeouts.
        tracing::debug!(%error, "connection ended early");
    }
}
