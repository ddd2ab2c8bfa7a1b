//! Binds, accepts connections, and shuts down.

pub(crate) mod agent;
mod answering;
mod chunked_body;
mod connection;
pub(crate) mod cors;
pub(crate) mod host;
mod ingress;
pub(crate) mod middleware;
mod router;
pub(crate) mod service;
mod shutdown;
pub(crate) mod signals;

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::agent::{Agent, MIN_SHUTDOWN};
use self::signals::Signals;
use crate::lifecycle::LifecycleError;

/// How long accepting pauses after an error, such as when no file descriptors are left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// How long a shutdown waits for aborted requests to end.
pub(crate) const ABORT_TIMEOUT: Duration = Duration::from_millis(500);

/// A listening agent.
///
/// ```no_run
/// # async fn example(app: ppio::AgentRuntimeApp) -> Result<(), ppio::StartError> {
/// let server = app.bind().await?;
/// println!("{}", server.url());
/// server.serve().await;
/// # Ok(()) }
/// ```
pub struct AgentRuntimeServer {
    listener: TcpListener,
    address: SocketAddr,
    agent: Arc<Agent>,
}

impl AgentRuntimeServer {
    pub(crate) async fn listen(host: &str, port: u16, agent: Arc<Agent>) -> io::Result<Self> {
        let listener = TcpListener::bind((host, port)).await?;
        let connections = agent.connections.get_or_init(Arc::default);
        let inspected = agent.runs.inspected_tasks();
        inspected.set_connections(Arc::clone(connections));
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            agent,
        })
    }

    /// Returns the address that the agent listens on, with the actual port if port 0 was
    /// configured.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address as a URL that works on this machine.
    pub fn url(&self) -> String {
        format!("http://{}", reachable(self.address))
    }

    /// Serves until `shutdown` is ready, then shuts down: no new connections are accepted, running
    /// requests and background tasks may finish within the shutdown grace, and the rest is aborted.
    /// Then the shutdown functions run; those that fail are logged.
    pub async fn serve_until(self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let connections = self.accept_until(shutdown.as_mut()).await;
        if let Err(error) = connections.shut_down(std::future::pending()).await {
            tracing::error!("{error}");
        }
    }

    pub(crate) async fn serve_with(self, signals: &mut Signals) -> Result<(), LifecycleError> {
        let connections = self.accept_until(signals.next()).await;
        connections.shut_down_logged(signals.next()).await
    }

    /// Returns the longest time that a shutdown takes, unless user code blocks the threads.
    pub(crate) fn longest_shutdown(&self) -> Duration {
        let longest = self.agent.settings.shutdown_grace + ABORT_TIMEOUT;
        // The time in which telemetry is sent.
        #[cfg(feature = "otel")]
        let longest = longest + ABORT_TIMEOUT;
        if self.agent.lifecycle.has_shutdowns() {
            longest + MIN_SHUTDOWN
        } else {
            longest
        }
    }

    /// Serves until `shutdown` is ready, then shuts down; `abort` ends the grace early.
    pub(crate) async fn serve_until_aborted(
        self,
        shutdown: impl Future<Output = ()>,
        abort: impl Future<Output = ()>,
    ) -> Result<(), LifecycleError> {
        let connections = self.accept_until(shutdown).await;
        connections.shut_down_logged(abort).await
    }

    async fn accept_until(self, shutdown: impl Future<Output = ()>) -> Connections {
        let mut connections = Connections {
            agent: self.agent,
            is_loopback: self.address.ip().to_canonical().is_loopback(),
            tasks: JoinSet::new(),
        };
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => return connections,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => connections.add(stream),
                    // No descriptors are left, or the client has disconnected already.
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_BACKOFF).await;
                    }
                },
            }
        }
    }
}

impl std::fmt::Debug for AgentRuntimeServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentRuntimeServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The connections of one server, each in its own task.
struct Connections {
    agent: Arc<Agent>,
    /// Whether the listener is bound to a loopback address.
    is_loopback: bool,
    tasks: JoinSet<()>,
}

impl Connections {
    fn add(&mut self, stream: TcpStream) {
        // Removes finished connections from the set.
        while self.tasks.try_join_next().is_some() {}
        let agent = Arc::clone(&self.agent);
        self.tasks
            .spawn(connection::serve(stream, agent, self.is_loopback));
    }

    /// Logs the shutdown and does the same as [`shut_down`](Self::shut_down), for a program that
    /// ends at a signal.
    async fn shut_down_logged(self, abort: impl Future<Output = ()>) -> Result<(), LifecycleError> {
        tracing::info!("shutting down; a second signal aborts running requests");
        self.shut_down(abort).await
    }

    /// Waits for all connections and background tasks within the grace, aborts the rest, and runs
    /// the shutdown functions in the rest of the grace or in [`MIN_SHUTDOWN`], whichever is longer.
    /// `abort` ends all of this early. Telemetry is sent last: the limit is the rest of the grace,
    /// and at least [`ABORT_TIMEOUT`].
    async fn shut_down(self, abort: impl Future<Output = ()>) -> Result<(), LifecycleError> {
        let deadline = Instant::now() + self.agent.settings.shutdown_grace;
        let result = self.end(deadline, abort).await;
        #[cfg(feature = "otel")]
        {
            let left = deadline.saturating_duration_since(Instant::now());
            let limit = left.clamp(ABORT_TIMEOUT, crate::telemetry::MAX_FLUSH);
            crate::telemetry::flush(limit).await;
        }
        result
    }

    async fn end(
        mut self,
        deadline: Instant,
        abort: impl Future<Output = ()>,
    ) -> Result<(), LifecycleError> {
        let mut abort = std::pin::pin!(abort);
        self.agent.shutdown.begin();
        let grace = self.agent.settings.shutdown_grace;
        let finish = async {
            while self.tasks.join_next().await.is_some() {}
            let left = deadline.saturating_duration_since(Instant::now());
            self.agent.invoker.tasks().wait_idle(left).await;
            let left = deadline.saturating_duration_since(Instant::now());
            self.agent.runs.wait_idle(left).await;
        };
        let (finished, aborted) = tokio::select! {
            finished = tokio::time::timeout_at(deadline, finish) => (finished.is_ok(), false),
            () = &mut abort => (false, true),
        };
        let running = self.agent.invoker.counters().running();
        let tasks = self.agent.invoker.tasks().running();
        let cancelled_runs = self.agent.runs.cancel_all();
        if !finished || tasks > 0 || cancelled_runs {
            tracing::warn!(
                invocations = running,
                tasks,
                "aborting the requests and tasks that still run; the shutdown grace is {} s",
                grace.as_secs_f64()
            );
        }
        if cancelled_runs {
            // The clients that read the cancelled runs still receive the end of the stream.
            let ended = async { while self.tasks.join_next().await.is_some() {} };
            let _ = tokio::time::timeout(ABORT_TIMEOUT / 2, ended).await;
        }
        self.tasks.abort_all();
        // A handler that blocks its thread cannot be aborted.
        let ended = async {
            while self.tasks.join_next().await.is_some() {}
            self.agent.runs.flush_journal().await;
            #[cfg(feature = "a2a")]
            self.agent.runs.wait_idle(ABORT_TIMEOUT).await;
        };
        let _ = tokio::time::timeout(ABORT_TIMEOUT, ended).await;
        #[cfg(feature = "a2a")]
        self.agent.protocols.push().stop();
        if !self.agent.lifecycle.has_shutdowns() {
            return Ok(());
        }
        let deadline = deadline.max(Instant::now() + MIN_SHUTDOWN);
        let shutdown = self.agent.lifecycle.shut_down(deadline.into());
        let abort = async {
            if !aborted {
                abort.await;
            }
        };
        tokio::select! {
            biased;
            () = abort => {
                tracing::warn!("aborting the shutdown functions");
                Ok(())
            }
            result = shutdown => result,
        }
    }
}

/// Returns the address at which a client on this machine reaches a listener.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}
