//! Accepts the connections of `agent dev` and serves them as agents and the local platform do: an
//! answer that is sent before the request body was read leaves the connection usable.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::server::conn::http1;
use ppio_agent_connection::{Limits, RequestBody};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const LIMITS: Limits = Limits {
    keep_alive_timeout: Duration::from_secs(75),
    header_timeout: Duration::from_secs(30),
    write_timeout: None,
};
/// The pause after a connection could not be accepted, usually because no file descriptors are
/// left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers every request with `handler` until the future is dropped, which ends all connections.
pub(super) async fn serve<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let mut connections = JoinSet::new();
    // Never changes: there is no shutdown that waits for requests.
    let (_running, shutdown) = watch::channel(());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let connection = serve_connection(stream, handler.clone(), shutdown.clone());
                    connections.spawn(connection);
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection<H, F>(stream: TcpStream, handler: H, shutdown: watch::Receiver<()>)
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    // The small writes of an event stream must not be delayed.
    let _ = stream.set_nodelay(true);
    let answer = |request: axum::http::Request<RequestBody>| handler(request.map(Body::new));
    let http = http1::Builder::new();
    // An error ends only this connection.
    let _ = ppio_agent_connection::serve(stream, &http, &LIMITS, shutdown, answer).await;
}
