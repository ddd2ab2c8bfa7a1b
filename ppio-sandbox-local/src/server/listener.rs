//! Accepts connections; the first byte decides between plain HTTP and TLS.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::uri::Scheme;
use axum::http::{Method, Request, Response};
use axum::response::IntoResponse as _;
use hyper::server::conn::http1;
use ppio_agent_connection::{FramingError, Limits, RequestBody};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::reset_stream::{CutShort, ResetStream};
use super::tls::Tls;
use super::tunnel::{self, Tunnel};
use crate::api::ApiError;
use crate::edge::Edge;

/// The first byte of a TLS connection: a handshake record.
const TLS_HANDSHAKE: u8 = 0x16;
/// The longest time for which a connection may stay open without a first byte.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(30);
const LIMITS: Limits = Limits {
    // Longer than load balancers and clients keep idle connections.
    keep_alive_timeout: Duration::from_secs(75),
    header_timeout: Duration::from_secs(30),
    write_timeout: None,
};
/// The longest time that running requests may take once the platform shuts down.
const SHUTDOWN_DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The state that all connections share.
#[derive(Debug, Clone)]
pub(crate) struct ServerState {
    pub(crate) edge: Edge,
    /// The port of the platform.
    pub(crate) port: u16,
    pub(crate) tls: Option<Tls>,
    /// Changes once, when the platform shuts down. This receiver is only cloned and never read, so
    /// that the clones of all connections see the change.
    pub(crate) closing: watch::Receiver<bool>,
}

/// Serves until `closing` is true, then waits for requests in progress, at most
/// [`SHUTDOWN_DRAIN_TIMEOUT`]. Requests in tunnels are not waited for.
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
                    // Usually the process is out of descriptors: waits for connections to end.
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
    match tokio::time::timeout(FIRST_BYTE_TIMEOUT, stream.peek(&mut first)).await {
        Ok(Ok(1)) => {}
        _ => return,
    }
    let cut_short = CutShort::default();
    let stream = ResetStream::new(stream, cut_short.clone());
    if first[0] == TLS_HANDSHAKE {
        // A client that uses TLS cannot read an answer without TLS.
        if let Some(tls) = &state.tls
            && let Ok(stream) = tls.accept(stream).await
        {
            serve_http(&state, stream, Scheme::HTTPS, cut_short).await;
        }
    } else {
        serve_http(&state, stream, Scheme::HTTP, cut_short).await;
    }
}

/// Serves HTTP/1.1 on a connection until it ends, upgrades included. `scheme` is added to the
/// extensions of each request.
async fn serve_http<S>(state: &Arc<ServerState>, stream: S, scheme: Scheme, cut_short: CutShort)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handler = |mut request: Request<RequestBody>| {
        request.extensions_mut().insert(scheme.clone());
        let (state, cut_short) = (Arc::clone(state), cut_short.clone());
        async move {
            if let Some(error) = request.extensions().get::<FramingError>() {
                ApiError::bad_request(error.to_string()).into_response()
            } else if request.method() == Method::CONNECT {
                answer_connect(state, request, cut_short).await
            } else {
                let response = state.edge.answer(request.map(Body::new)).await;
                response.map(|body| cut_short.watch(body))
            }
        }
    };
    let mut http = http1::Builder::new();
    // Old programs in sandboxes read `Host` and not `host`.
    http.preserve_header_case(true);
    let closing = state.closing.clone();
    let served = ppio_agent_connection::serve(stream, &http, &LIMITS, closing, handler).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn answer_connect(
    state: Arc<ServerState>,
    request: Request<RequestBody>,
    cut_short: CutShort,
) -> Response<Body> {
    let tls = state.tls.as_ref();
    match tunnel::open(&state.edge, tls, state.port, request).await {
        Ok(tunnel) => {
            run(state, tunnel, cut_short);
            Response::new(Body::empty())
        }
        Err(error) => error.into_response(),
    }
}

/// Runs a tunnel in a task, which ends with one of the two connections or when the platform shuts
/// down.
fn run(state: Arc<ServerState>, tunnel: Tunnel, cut_short: CutShort) {
    tokio::spawn(async move {
        let outcome = match tunnel {
            Tunnel::ToPlatform(tunnel) => match tunnel.accept().await {
                Ok(stream) => {
                    Box::pin(serve_http(&state, stream, Scheme::HTTPS, cut_short)).await;
                    Ok(())
                }
                Err(error) => Err(error),
            },
            Tunnel::Remote(tunnel) => {
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

/// Returns once the platform shuts down.
async fn closed(closing: &mut watch::Receiver<bool>) {
    // An error means that the platform was dropped.
    let _ = closing.wait_for(|closing| *closing).await;
}
