//! Passes a request on to a port of a sandbox and its answer back, neither of them buffered.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{closed_port, ports_of, unavailable};
use crate::sandbox::{AGENT_PORT, Sandbox};

/// A program that was just started gets this long to open its port, so that the first request
/// after a start waits instead of failing.
const START_GRACE: Duration = Duration::from_secs(5);
/// Between two tries of a port that is not open yet.
const DIAL_PAUSE: Duration = Duration::from_millis(1);
/// Between two looks at the ports that the processes of a sandbox listen on; doubled each time.
const FIRST_SEARCH_PAUSE: Duration = Duration::from_millis(10);
const LAST_SEARCH_PAUSE: Duration = Duration::from_millis(100);
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Headers that are for one connection only (RFC 9110, section 7.6.1), and those that were for us.
const NOT_PASSED_ON: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "ppio-sandbox-id",
    "ppio-sandbox-port",
    "e2b-sandbox-id",
    "e2b-sandbox-port",
];

pub(super) async fn forward(
    sandbox: &Arc<Sandbox>,
    port: u16,
    request: Request<Body>,
) -> Response<Body> {
    let Some(stream) = connect(sandbox, port).await else {
        return closed_port(sandbox, port);
    };
    // Small pieces of a stream must not wait for more.
    let _ = stream.set_nodelay(true);
    match exchange(stream, request).await {
        Ok(response) => response,
        Err(error) => unavailable(
            &sandbox.id,
            Some(port),
            &format!("the sandbox did not answer: {error}"),
        ),
    }
}

/// Connects to the real port, waiting for it to open while the sandbox is young.
async fn connect(sandbox: &Arc<Sandbox>, port: u16) -> Option<TcpStream> {
    // To try a closed port of this machine costs microseconds, to ask who listens on one does not.
    let mut search = Instant::now();
    let mut search_pause = FIRST_SEARCH_PAUSE;
    loop {
        if port == AGENT_PORT
            && let Some(stream) = dial(sandbox.real_port(port)).await
        {
            return Some(stream);
        }
        let age = Instant::now().saturating_duration_since(sandbox.processes.last_start());
        let is_last = age > START_GRACE || sandbox.processes.list().is_empty();
        if is_last || Instant::now() >= search {
            // Also agents that do not know of `PPIO_AGENT_PORT` and open 8080 itself.
            let owner = Arc::clone(sandbox);
            let is_listener =
                tokio::task::spawn_blocking(move || ports_of::listens(&owner, port)).await;
            if is_listener.unwrap_or(false)
                && let Some(stream) = dial(port).await
            {
                return Some(stream);
            }
            search = Instant::now() + search_pause;
            search_pause = (search_pause * 2).min(LAST_SEARCH_PAUSE);
        }
        if is_last {
            return None;
        }
        tokio::time::sleep(DIAL_PAUSE).await;
    }
}

async fn dial(port: u16) -> Option<TcpStream> {
    let dialing = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    tokio::time::timeout(CONNECT_DEADLINE, dialing)
        .await
        .ok()?
        .ok()
}

async fn exchange(stream: TcpStream, mut request: Request<Body>) -> hyper::Result<Response<Body>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the connection, which ends with the answer's body or when the caller goes away.
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to a sandbox broke");
        }
    });

    let wanted_upgrade = upgrade_protocol(request.headers());
    let caller_upgrade = wanted_upgrade
        .as_ref()
        .map(|_| hyper::upgrade::on(&mut request));
    prepare(&mut request, wanted_upgrade.as_ref());
    let mut response = sender.send_request(request).await?;

    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(caller_upgrade) = caller_upgrade
    {
        let sandbox_upgrade = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (Ok(caller), Ok(sandbox)) = tokio::join!(caller_upgrade, sandbox_upgrade) else {
                return;
            };
            let (mut caller, mut sandbox) = (TokioIo::new(caller), TokioIo::new(sandbox));
            let _ = tokio::io::copy_bidirectional(&mut caller, &mut sandbox).await;
        });
        return Ok(response.map(|_| Body::empty()));
    }
    remove_connection_headers(response.headers_mut());
    Ok(response.map(Body::new))
}

fn upgrade_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    asked
        .then(|| headers.get(header::UPGRADE).cloned())
        .flatten()
}

fn prepare(request: &mut Request<Body>, upgrade: Option<&HeaderValue>) {
    // The agent sees a path; the host went with the caller's address line or header.
    let host = request
        .uri()
        .authority()
        .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    if let Ok(uri) = path.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    *request.version_mut() = axum::http::Version::HTTP_11;
    remove_connection_headers(request.headers_mut());
    let headers = request.headers_mut();
    if let Some(host) = host {
        headers.entry(header::HOST).or_insert(host);
    }
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol.clone());
    }
}

fn remove_connection_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in NOT_PASSED_ON {
        headers.remove(*name);
    }
}
