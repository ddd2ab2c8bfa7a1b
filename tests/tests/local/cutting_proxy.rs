//! A TCP proxy that breaks connections at random points.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fastrand::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The share of the connections to cut, and the number of bytes before a cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cuts {
    /// The percentage of connections that are cut.
    pub(crate) percent: u8,
    /// The maximum number of bytes that a cut connection forwards from the client.
    pub(crate) request: usize,
    /// The maximum number of bytes that a cut connection forwards to the client.
    pub(crate) response: usize,
}

/// Forwards connections to a server and, while cutting is on, breaks some of them.
pub(crate) struct CuttingProxy {
    address: SocketAddr,
    state: Arc<ProxyState>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct ProxyState {
    cutting: AtomicBool,
    cuts: AtomicUsize,
    connections: AtomicUsize,
    /// Changes when all connections are broken.
    broken: watch::Sender<()>,
}

impl Drop for CuttingProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl CuttingProxy {
    /// Starts a proxy that does not cut yet.
    pub(crate) async fn start(server: SocketAddr, cuts: Cuts, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(ProxyState::default());
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            let mut random = Rng::with_seed(seed);
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.expect("the proxy listens");
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let is_cut =
                    shared.cutting.load(Ordering::SeqCst) && random.u8(..100) < cuts.percent;
                let limit = is_cut.then(|| Cut {
                    request: random.usize(..=cuts.request),
                    response: random.usize(..=cuts.response),
                    reset: random.bool(),
                });
                connections.spawn(forward(client, server, limit, Arc::clone(&shared)));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            state,
            accepting,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts or stops cutting new connections.
    pub(crate) fn cut(&self, cutting: bool) {
        self.state.cutting.store(cutting, Ordering::SeqCst);
    }

    /// Breaks every open connection.
    pub(crate) fn break_all(&self) {
        self.state.broken.send_replace(());
    }

    /// Returns the number of connections that were accepted.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Returns the number of connections that were cut or broken.
    pub(crate) fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

/// The numbers of forwarded bytes after which a connection is cut. The limit that is reached first
/// applies.
#[derive(Clone, Copy)]
struct Cut {
    request: usize,
    response: usize,
    /// Whether to cut with RST instead of FIN.
    reset: bool,
}

async fn forward(
    mut client: TcpStream,
    server: SocketAddr,
    cut: Option<Cut>,
    state: Arc<ProxyState>,
) {
    let mut broken = state.broken.subscribe();
    let Ok(mut upstream) = TcpStream::connect(server).await else {
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = upstream.set_nodelay(true);
    let mut left = cut.map_or((usize::MAX, usize::MAX), |cut| (cut.request, cut.response));
    let (mut from_client, mut from_server) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let is_cut = loop {
        tokio::select! {
            _ = broken.changed() => break true,
            read = client.read(&mut from_client) => match read {
                Ok(length @ 1..) => {
                    let passed = length.min(left.0);
                    left.0 -= passed;
                    let written = upstream.write_all(&from_client[..passed]).await;
                    if passed < length {
                        break true;
                    }
                    if written.is_err() {
                        break false;
                    }
                }
                Ok(0) | Err(_) => break false,
            },
            read = upstream.read(&mut from_server) => match read {
                Ok(length @ 1..) => {
                    let passed = length.min(left.1);
                    left.1 -= passed;
                    let written = client.write_all(&from_server[..passed]).await;
                    if passed < length {
                        break true;
                    }
                    if written.is_err() {
                        break false;
                    }
                }
                Ok(0) | Err(_) => break false,
            },
        }
    };
    if is_cut {
        state.cuts.fetch_add(1, Ordering::SeqCst);
        if cut.is_some_and(|cut| cut.reset) {
            let _ = client.set_zero_linger();
            let _ = upstream.set_zero_linger();
        }
    }
}
