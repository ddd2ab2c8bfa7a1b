//! Finds the real port behind a port of a sandbox and passes a request on to it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Request, Response, header};
use tokio::net::TcpStream;

use super::port_conflict::PortConflict;
use super::{ports_of, unavailable};
use crate::sandbox::{AGENT_PORT, Registry, Sandbox};

/// A program that was just started gets this long to open its port, so that the first request
/// after a start waits instead of failing.
const START_GRACE: Duration = Duration::from_secs(5);
/// Between two tries of a port that is not open yet.
const DIAL_PAUSE: Duration = Duration::from_millis(1);
/// Between two looks at the ports that the processes of a sandbox listen on; doubled each time.
const FIRST_SEARCH_PAUSE: Duration = Duration::from_millis(10);
const LAST_SEARCH_PAUSE: Duration = Duration::from_millis(100);
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Headers that told the edge where to pass a request on to.
const FOR_THE_EDGE: &[&str] = &[
    "ppio-sandbox-id",
    "ppio-sandbox-port",
    "e2b-sandbox-id",
    "e2b-sandbox-port",
];

pub(super) async fn forward(
    sandbox: &Arc<Sandbox>,
    port: u16,
    mut request: Request<Body>,
    sandboxes: &Arc<Registry>,
) -> Response<Body> {
    let Some(stream) = connect(sandbox, port).await else {
        return closed_port(sandbox, port, sandboxes).await;
    };
    for name in FOR_THE_EDGE {
        request.headers_mut().remove(*name);
    }
    name_this_machine(&mut request, &sandbox.id, port);
    match crate::forward(stream, request).await {
        Ok(response) => response,
        Err(error) => unavailable(
            &sandbox.id,
            Some(port),
            &format!("the sandbox did not answer: {error}"),
        ),
    }
}

/// Replaces a host that is not a name of this machine. The edge has read from it what it was for, and
/// servers on loopback, agents among them, refuse foreign hosts (DNS rebinding).
fn name_this_machine(request: &mut Request<Body>, id: &str, port: u16) {
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.clone()),
        None => request
            .headers()
            .get(header::HOST)
            .and_then(|host| Authority::try_from(host.as_bytes()).ok()),
    };
    if host.is_some_and(|host| is_loopback(host.host())) {
        return;
    }
    if let Ok(host) = HeaderValue::try_from(format!("{port}-{id}.localhost")) {
        request.headers_mut().insert(header::HOST, host);
    }
}

fn is_loopback(host: &str) -> bool {
    let name = host.trim_matches(['[', ']', '.']).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

async fn closed_port(
    sandbox: &Arc<Sandbox>,
    port: u16,
    sandboxes: &Arc<Registry>,
) -> Response<Body> {
    let (closed, all) = (Arc::clone(sandbox), Arc::clone(sandboxes));
    let conflict =
        tokio::task::spawn_blocking(move || PortConflict::find(&closed, port, &all)).await;
    let message = if let Ok(Some(conflict)) = conflict {
        conflict.log(sandbox);
        conflict.to_string()
    } else {
        format!("the sandbox is running, but nothing in it listens on port {port}")
    };
    unavailable(&sandbox.id, Some(port), &message)
}

/// Connects to the real port, waiting for it to open while the sandbox is young.
async fn connect(sandbox: &Arc<Sandbox>, port: u16) -> Option<TcpStream> {
    // To try a closed port of this machine costs microseconds, to ask who listens on one does not: what is just about
    // to listen where it should is not held up by it.
    let mut search_pause = FIRST_SEARCH_PAUSE;
    let mut search = Instant::now() + search_pause;
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
