//! Binds, accepts, drains.

pub(crate) mod agent;
mod chunked_body;
mod connection;
pub(crate) mod cors;
pub(crate) mod host;
pub(crate) mod ingress;
pub(crate) mod middleware;
pub(crate) mod router;
pub(crate) mod shutdown;

use std::future::Future;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::app::AgentRuntimeApp;
use crate::app::start_error::StartError;
use crate::invocation::blocking_pool::BlockingPool;
use crate::server::agent::Agent;

/// How long to wait when the system has no more descriptors for connections.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// A listening agent.
///
/// ```no_run
/// # async fn example(app: ppio::AgentRuntimeApp) -> Result<(), ppio::StartError> {
/// let server = app.bind().await?;
/// println!("{}", server.url());
/// server.serve().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct AgentRuntimeServer {
    listener: TcpListener,
    address: SocketAddr,
    app: AgentRuntimeApp,
}

impl AgentRuntimeServer {
    /// Listens on the configured address.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(app: AgentRuntimeApp) -> Result<Self, StartError> {
        let settings = &app.agent().settings;
        let target = (settings.host.as_str(), settings.port);
        let bound = async {
            let listener = TcpListener::bind(target).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bound.await.map_err(|source: io::Error| StartError::Bind {
            address: settings.address(),
            source,
        })?;
        Ok(Self {
            listener,
            address,
            app,
        })
    }

    /// The address it listens on, with the real port where port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The address as a URL that works on this machine.
    pub fn url(&self) -> String {
        format!("http://{}", reachable(self.address))
    }

    /// Serves until SIGTERM or SIGINT, then drains; a second signal cuts.
    ///
    /// # Errors
    /// When the system does not let it wait for signals.
    pub async fn serve(self) -> Result<(), StartError> {
        let mut signals = Signals::new().map_err(StartError::Runtime)?;
        self.serve_with(&mut signals).await;
        Ok(())
    }

    /// Serves until `shutdown` is ready, then drains: no new connections, running requests and
    /// background tasks may finish within the shutdown grace, what remains is cut.
    pub async fn serve_until(self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let connections = self.accept_until(shutdown.as_mut()).await;
        connections.drain(std::future::pending()).await;
    }

    async fn serve_with(self, signals: &mut Signals) {
        let connections = self.accept_until(signals.next()).await;
        tracing::info!("shutting down; a second signal cuts what still runs");
        connections.drain(signals.next()).await;
    }

    async fn accept_until(self, shutdown: impl Future<Output = ()>) -> Connections {
        let agent = Arc::clone(self.app.agent());
        let mut connections = Connections {
            agent,
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
                    // Out of descriptors, or a client that left in the queue. Accepting goes on.
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_BACKOFF).await;
                    }
                },
            }
        }
    }
}

/// The connections of one server; each is a task that this owns.
struct Connections {
    agent: Arc<Agent>,
    /// The listener is bound to a loopback address.
    is_loopback: bool,
    tasks: JoinSet<()>,
}

impl Connections {
    fn add(&mut self, stream: TcpStream) {
        // Takes the finished ones out, so that the set holds what is open.
        while self.tasks.try_join_next().is_some() {}
        let agent = Arc::clone(&self.agent);
        self.tasks
            .spawn(connection::serve(stream, agent, self.is_loopback));
    }

    /// Lets everything finish within the grace, then cuts. `cut` ends the grace early.
    async fn drain(mut self, cut: impl Future<Output = ()>) {
        self.agent.draining.begin();
        let grace = self.agent.settings.shutdown_grace;
        let deadline = Instant::now() + grace;
        let finish = async {
            while self.tasks.join_next().await.is_some() {}
            let left = deadline.saturating_duration_since(Instant::now());
            self.agent.tasks.wait_idle(left).await;
        };
        let finished = tokio::select! {
            finished = tokio::time::timeout_at(deadline, finish) => finished.is_ok(),
            () = cut => false,
        };
        let running = self.agent.metrics.running();
        let tasks = self.agent.tasks.running();
        if !finished || tasks > 0 {
            tracing::warn!(
                invocations = running,
                tasks,
                "grace of {} s is over; cutting what still runs",
                grace.as_secs_f64()
            );
        }
        self.tasks.shutdown().await;
    }
}

/// SIGTERM and SIGINT; elsewhere than on Unix, Ctrl-C.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Where a client on this machine reaches a listener.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// The line that says where an agent listens. No browser opens a wildcard address everywhere, so the
/// line has one that can be opened as well.
fn listening_on(address: SocketAddr) -> String {
    let open = reachable(address);
    if open == address {
        format!("listening on http://{address}")
    } else {
        format!("listening on http://{address}, open http://{open}")
    }
}

/// Serves an app on a runtime of its own; see [`AgentRuntimeApp::run`].
pub(crate) fn run(app: AgentRuntimeApp) -> Result<(), StartError> {
    let settings = &app.agent().settings;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .enable_all()
        .thread_name("ppio")
        .max_blocking_threads(BlockingPool::runtime_threads(settings.blocking_threads));
    if let Some(threads) = settings.worker_threads {
        builder.worker_threads(threads);
    }
    let runtime = builder.build().map_err(StartError::Runtime)?;
    let result = runtime.block_on(async {
        // Whoever reads the line below may ask at once to end.
        let mut signals = Signals::new().map_err(StartError::Runtime)?;
        let server = app.bind().await?;
        // The agent serves whether or not somebody reads this.
        let _ = writeln!(io::stdout(), "{}", listening_on(server.address));
        server.serve_with(&mut signals).await;
        Ok(())
    });
    // Synchronous code that never returns must not keep the process.
    runtime.shutdown_background();
    result
}
