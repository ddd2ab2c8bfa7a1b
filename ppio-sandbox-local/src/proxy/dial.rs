//! Connects to a port of a sandbox: in the sandbox's network namespace if it has one, otherwise on
//! this machine after checking that a process of that sandbox listens there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::port_owner::{self, ProcessSearch};
use crate::isolation::NetworkConnector;
use crate::processes::ListenerTable;
use crate::sandbox::{AGENT_PORT, LocalSandbox, VerifiedListener};

/// The time in which a program that was just started has to open its port: the first request after
/// a start waits instead of failing.
const START_GRACE: Duration = Duration::from_secs(5);
/// The first and the longest pause between two attempts to connect to a port that is not open yet.
const DIAL_PAUSE: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(10)];
/// The first pause between two searches through all processes of this machine; doubled each time.
const FIRST_SEARCH_PAUSE: Duration = Duration::from_millis(10);
const LAST_SEARCH_PAUSE: Duration = Duration::from_millis(100);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The addresses of servers in a sandbox.
const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// Connects to a port of `sandbox`. Waits for the port to open until [`START_GRACE`] after the last
/// start of a process, or until nothing runs in the sandbox. `None` if no process of the sandbox
/// listens on the port.
pub(super) async fn connect(sandbox: &Arc<LocalSandbox>, port: u16) -> Option<TcpStream> {
    if let Some(known) = sandbox.verified_listeners.get(port) {
        if let Some(stream) = dial(&known).await {
            return Some(stream);
        }
        sandbox.verified_listeners.remove(port);
    }
    let mut search_pause = FIRST_SEARCH_PAUSE;
    let mut next_search = Instant::now() + search_pause;
    loop {
        // The start counts even if the started process has ended: a shell may have left a server in
        // the background.
        let last_start = sandbox.processes.last_start();
        let age = last_start
            .map(|start| start.elapsed())
            .filter(|age| *age <= START_GRACE);
        let search = if age.is_none() || Instant::now() >= next_search {
            next_search = Instant::now() + search_pause;
            search_pause = (search_pause * 2).min(LAST_SEARCH_PAUSE);
            ProcessSearch::All
        } else {
            ProcessSearch::Quick
        };
        if let Some(stream) = attempt(sandbox, port, search).await {
            return Some(stream);
        }
        let age = age?;
        if search == ProcessSearch::All && is_idle(sandbox).await {
            return None;
        }
        let [first, last] = DIAL_PAUSE;
        tokio::time::sleep((age / 20).clamp(first, last)).await;
    }
}

async fn attempt(
    sandbox: &Arc<LocalSandbox>,
    port: u16,
    search: ProcessSearch,
) -> Option<TcpStream> {
    if let Some(connector) = sandbox.sandbox_processes().connector() {
        return connect_inside(sandbox, connector, port).await;
    }
    for listener in find(sandbox, port, search).await {
        if let Some(stream) = dial(&listener).await {
            sandbox.verified_listeners.insert(port, listener);
            return Some(stream);
        }
    }
    None
}

/// Connects in the network namespace of `sandbox`, where every listener belongs to the sandbox.
async fn connect_inside(
    sandbox: &LocalSandbox,
    connector: &NetworkConnector,
    port: u16,
) -> Option<TcpStream> {
    for address in LOOPBACK {
        match connector.connect(SocketAddr::new(address, port)).await {
            Ok(Some(stream)) => return Some(stream),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(sandbox = %sandbox.id, %error, "failed to connect to port {port}");
                return None;
            }
        }
    }
    None
}

/// Whether nothing runs in `sandbox` that could open a port.
async fn is_idle(sandbox: &Arc<LocalSandbox>) -> bool {
    if !sandbox.processes.list().is_empty() {
        return false;
    }
    let processes = sandbox.sandbox_processes();
    let looking = tokio::task::spawn_blocking(move || processes.are_idle());
    looking.await.unwrap_or_default()
}

/// Returns the listeners of `sandbox` on `port`: at most one per real port and address family.
async fn find(
    sandbox: &Arc<LocalSandbox>,
    port: u16,
    search: ProcessSearch,
) -> Vec<VerifiedListener> {
    let mut ports = vec![sandbox.real_port(port)];
    if port == AGENT_PORT {
        // An agent that does not read `PPIO_AGENT_PORT` opens 8080 itself.
        ports.push(port);
    }
    let sandbox = Arc::clone(sandbox);
    let finding = tokio::task::spawn_blocking(move || {
        let table = ListenerTable::read(&ports);
        let addresses = ports
            .iter()
            .flat_map(|port| LOOPBACK.map(|address| SocketAddr::new(address, *port)));
        addresses
            .map(|address| VerifiedListener {
                address,
                inodes: table.receivers(address.ip(), address.port()),
            })
            .filter(|listener| port_owner::owns(&sandbox, &table, &listener.inodes, search))
            .collect()
    });
    finding.await.unwrap_or_default()
}

/// Connects, then checks that the sockets that listen now are among the verified ones: they have
/// listened since they were verified, so one of them accepted the connection.
async fn dial(listener: &VerifiedListener) -> Option<TcpStream> {
    let address = listener.address;
    let dialing = TcpStream::connect(address);
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, dialing)
        .await
        .ok()?
        .ok()?;
    let reading = tokio::task::spawn_blocking(move || {
        ListenerTable::read(&[address.port()]).receivers(address.ip(), address.port())
    });
    let receivers = reading.await.unwrap_or_default();
    let is_verified = !receivers.is_empty() && receivers.is_subset(&listener.inodes);
    is_verified.then_some(stream)
}
