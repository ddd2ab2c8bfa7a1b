//! One client connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1::{self, Connection};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;

use crate::exchange::body::Body;
use crate::server::agent::{Agent, SharedAgent};
use crate::server::chunked_body::{PIECE, Pieces};
use crate::server::ingress::Ingress;
use crate::server::router::respond;

/// How much of a connection is held in memory for each direction, in bytes. The head of a request has
/// to fit; what is written ahead of a slow reader stays below this and one piece more.
const BUFFER: usize = 2 * PIECE;

/// Serves the requests of one connection until it ends or a shutdown begins.
///
/// When the client closes its side, hyper drops the response future or the response body, and with
/// it the handler: that is how a client that goes away cancels its invocation.
pub(crate) async fn serve(stream: TcpStream, agent: Arc<Agent>, is_loopback: bool) {
    let agent = SharedAgent::new(agent);
    // Events go out when they are written, not when a packet is full.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let settings = &agent.settings;
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(settings.write_timeout));
    let header_timeout: Duration = settings.header_timeout;
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let agent = agent.clone();
        let ingress = Ingress::Listener { is_loopback };
        async move {
            let settings = &agent.settings;
            let (limit, deadline) = (settings.max_request_size, settings.body_timeout);
            let request = request.map(|body| Body::incoming(body, limit, deadline));
            Ok::<_, Infallible>(respond(agent, request, ingress).await.map(Pieces::new))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(BUFFER)
        // Copying into one buffer costs less than what several pieces cost hyper and the system.
        .writev(false)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let served = agent
        .draining
        .watch(connection, Connection::graceful_shutdown);
    if let Err(error) = served.await {
        // Bad heads, resets and timeouts are the clients' doing.
        tracing::debug!(%error, "connection ended early");
    }
}
