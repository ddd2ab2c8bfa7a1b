//! Accepts connections; the first byte decides between plain HTTP and TLS.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::uri::Scheme;
use axum::http::{Method, Request, Response};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::tls::Tls;
use super::tunnel::{self, Tunnel};
use crate::edge::Edge;

/// The first byte of a TLS connection: a handshake record.
const TLS_HANDSHAKE: u8 = 0x16;
/// From an accepted connection to its first byte, and for the head of each request.
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// For requests in progress, once the platform shuts down.
const SHUTDOWN_DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// What every connection uses.
#[derive(Debug, Clone)]
pub(crate) struct ServerState {
    pub(crate) edge: Edge,
    /// The port that it listens on.
    pub(crate) port: u16,
    pub(crate) tls: Option<Tls>,
    pub(crate) closing: watch::Receiver<bool>,
}

/// Serves until `closing` is true, then waits for requests in progress.
pub(crate) async fn serve(listener: TcpListener, state: ServerState) {
    let mut connections = JoinSet::new();
    let mut closing = state.closing.clone();
    let state = Arc::new(state);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(Arc::clone(&state), stream));
                }
                Err(error) => {
                    // Usually out of descriptors: wait for connections to end.
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = closed(&mut closing) => break,
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_DRAIN_TIMEOUT, drained)
        .await
        .is_err()
    {
        connections.shutdown().await;
    }
}

async fn connection(state: Arc<ServerState>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut first = [0];
    match tokio::time::timeout(REQUEST_HEAD_TIMEOUT, stream.peek(&mut first)).await {
        Ok(Ok(1)) => {}
        _ => return,
    }
    if first[0] == TLS_HANDSHAKE {
        // A client that speaks TLS cannot read a plain answer.
        if let Some(tls) = &state.tls
            && let Ok(stream) = tls.accept(stream).await
        {
            serve_http(&state, stream, Scheme::HTTPS).await;
        }
    } else {
        serve_http(&state, stream, Scheme::HTTP).await;
    }
}

/// Serves HTTP/1.1 on a connection until it ends, upgrades included. `scheme` is added to the
/// extensions of each request.
async fn serve_http<S>(state: &Arc<ServerState>, stream: S, scheme: Scheme)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(scheme.clone());
        let state = Arc::clone(state);
        async move {
            let response = if request.method() == Method::CONNECT {
                answer_connect(state, request).await
            } else {
                state.edge.answer(request.map(Body::new)).await
            };
            Ok::<_, Infallible>(response)
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD_TIMEOUT)
        // Old programs in sandboxes read `Host` and not `host`.
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let mut closing = state.closing.clone();
    tokio::select! {
        served = serving.as_mut() => {
            log_broken(served);
            return;
        }
        () = closed(&mut closing) => {}
    }
    serving.as_mut().graceful_shutdown();
    log_broken(serving.await);
}

async fn answer_connect(state: Arc<ServerState>, request: Request<Incoming>) -> Response<Body> {
    let tls = state.tls.as_ref();
    match tunnel::open(&state.edge, tls, state.port, request).await {
        Ok(tunnel) => {
            run(state, tunnel);
            Response::new(Body::empty())
        }
        Err(error) => error.into_response(),
    }
}

/// Runs a tunnel in a task, which ends with the caller's connection.
fn run(state: Arc<ServerState>, tunnel: Tunnel) {
    tokio::spawn(async move {
        let outcome = match tunnel {
            Tunnel::ToPlatform(tunnel) => match tunnel.accept().await {
                Ok(stream) => {
                    Box::pin(serve_http(&state, stream, Scheme::HTTPS)).await;
                    Ok(())
                }
                Err(error) => Err(error),
            },
            Tunnel::Onward(tunnel) => {
                let mut closing = state.closing.clone();
                tokio::select! {
                    outcome = tunnel.run() => outcome,
                    () = closed(&mut closing) => Ok(()),
                }
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a tunnel broke");
        }
    });
}

fn log_broken(served: hyper::Result<()>) {
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Returns once the platform shuts down.
async fn closed(closing: &mut watch::Receiver<bool>) {
    // An error means that the platform was dropped.
    let _ = closing.wait_for(|closing| *closing).await;
}
