//! The connection pool: counts active connections and keeps idle ones for further requests.
//!
//! hyper-util's pool is not used, for three reasons: every sandbox has a host of its own, so a
//! limit per host does not limit the total; a request may be sent again only if it is known to be
//! unsent; and dropping a response must close its connection immediately, which cancels the
//! invocation.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::uri::Scheme;
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::payload::RequestPayload;
use crate::error::{Error, NetworkErrorKind};

/// How long to wait for an idle connection to become ready; opening a new one takes less time.
const READY_TIMEOUT: Duration = Duration::from_millis(100);

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Limits of the pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolLimits {
    /// The maximum number of concurrent requests. A request counts until the end of its response's
    /// body; further requests wait. Cleanup requests do not count.
    pub(crate) max_active: usize,
    /// The maximum number of idle connections, for all hosts together.
    pub(crate) max_idle: usize,
    /// How long an idle connection is kept open.
    pub(crate) idle_timeout: Duration,
}

/// The scheme and host that a connection serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    secure: bool,
    host: String,
}

impl Origin {
    pub(super) fn of(uri: &Uri) -> Result<Self, Error> {
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => {
                let message = format!("{uri} is not an http:// or https:// address");
                return Err(Error::validation("url", message));
            }
        };
        let authority = uri.authority().map(http::uri::Authority::as_str);
        let host = authority
            .and_then(|authority| authority.rsplit('@').next())
            .filter(|host| !host.is_empty())
            .ok_or_else(|| Error::validation("url", format!("{uri} has no host")))?;
        Ok(Self {
            secure,
            host: host.to_ascii_lowercase(),
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

/// A proxy that requires absolute URIs and perhaps credentials in every request.
#[derive(Debug)]
pub(super) struct ForwardProxy {
    pub(super) credentials: Option<HeaderValue>,
}

/// One HTTP/1.1 connection and the task that drives it; dropping this value closes the socket.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<RequestPayload>,
    driver: JoinHandle<()>,
    forward: Option<ForwardProxy>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(super) fn new(
        sender: SendRequest<RequestPayload>,
        driver: JoinHandle<()>,
        forward: Option<ForwardProxy>,
    ) -> Self {
        Self {
            sender,
            driver,
            forward,
        }
    }

    pub(super) fn forward_proxy(&self) -> Option<&ForwardProxy> {
        self.forward.as_ref()
    }

    /// Sends a request and waits for the response headers. The kind in an error shows whether a
    /// part of the request was written.
    pub(super) async fn send(
        &mut self,
        request: Request<RequestPayload>,
    ) -> Result<Response<Incoming>, (NetworkErrorKind, hyper::Error)> {
        self.sender
            .try_send_request(request)
            .await
            .map_err(|mut failure| {
                // hyper returns the request if and only if hyper has not begun to write the
                // request.
                let kind = match failure.take_message() {
                    Some(_) => NetworkErrorKind::Unsent,
                    None => NetworkErrorKind::Interrupted,
                };
                (kind, failure.into_error())
            })
    }
}

#[derive(Debug)]
pub(super) struct Pool {
    limits: PoolLimits,
    active: Arc<Semaphore>,
    idle: Mutex<IdleConnections>,
}

#[derive(Debug, Default)]
struct IdleConnections {
    /// Ordered by idle time, longest first.
    connections: VecDeque<(Origin, Connection, Instant)>,
    /// Closes expired connections, and runs while there are idle connections.
    reaper: Option<Reaper>,
}

/// A task that is aborted when it is dropped.
#[derive(Debug)]
struct Reaper(JoinHandle<()>);

impl Drop for Reaper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Pool {
    pub(super) fn new(limits: PoolLimits) -> Arc<Self> {
        let permits = limits.max_active.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            limits,
            active: Arc::new(Semaphore::new(permits)),
            idle: Mutex::default(),
        })
    }

    /// Waits until one more request may be active.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.active).acquire_owned().await.ok()
    }

    /// Returns the most recently used connection to `origin` that is still open.
    pub(super) async fn checkout(&self, origin: &Origin) -> Option<Connection> {
        while let Some(mut connection) = self.take(origin) {
            // Lets the driver process what the server sent meanwhile, such as a close: an
            // invocation sent over a closing connection could not be sent again.
            tokio::task::yield_now().await;
            // Waits until the driver has processed the end of the last response, which takes
            // microseconds. Fails if the connection was closed meanwhile.
            let ready = tokio::time::timeout(READY_TIMEOUT, connection.sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                return Some(connection);
            }
        }
        None
    }

    fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut idle = self.lock();
        let now = Instant::now();
        let found = idle
            .connections
            .iter()
            .rposition(|(at, connection, until)| {
                at == origin && *until > now && !connection.sender.is_closed()
            })?;
        idle.connections
            .remove(found)
            .map(|(_, connection, _)| connection)
    }

    fn put(self: &Arc<Self>, origin: Origin, connection: Connection) {
        if self.limits.max_idle == 0 || connection.sender.is_closed() {
            return;
        }
        let now = Instant::now();
        // A timeout beyond the range of the clock counts as one year: servers close connections
        // sooner.
        let until = now
            .checked_add(self.limits.idle_timeout)
            .unwrap_or_else(|| now + YEAR);
        let mut idle = self.lock();
        while idle.connections.len() >= self.limits.max_idle {
            idle.connections.pop_front();
        }
        idle.connections.push_back((origin, connection, until));
        let is_finished = idle
            .reaper
            .as_ref()
            .is_none_or(|reaper| reaper.0.is_finished());
        // Without a runtime (a body dropped on another thread), the next checkout skips expired
        // connections.
        if let (true, Ok(runtime)) = (is_finished, tokio::runtime::Handle::try_current()) {
            idle.reaper = Some(Reaper(runtime.spawn(reap(Arc::downgrade(self)))));
        }
    }

    /// Drops expired connections, and returns when the next connection expires.
    fn drop_expired(&self) -> Option<Instant> {
        let mut idle = self.lock();
        let now = Instant::now();
        idle.connections
            .retain(|(_, connection, until)| *until > now && !connection.sender.is_closed());
        idle.connections.front().map(|(_, _, until)| *until)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, IdleConnections> {
        // A panic cannot leave a list of connections in an invalid state.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn reap(pool: Weak<Pool>) {
    loop {
        let Some(next) = pool.upgrade().and_then(|pool| pool.drop_expired()) else {
            return;
        };
        tokio::time::sleep_until(next).await;
    }
}

/// A connection in use by one request. [`release`](Self::release) returns the connection to the
/// pool once the response has been read to its end; dropping this value closes the connection.
#[derive(Debug)]
pub(super) struct PooledConnection {
    connection: Connection,
    origin: Origin,
    pool: Arc<Pool>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl PooledConnection {
    pub(super) fn new(
        connection: Connection,
        origin: Origin,
        pool: Arc<Pool>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            connection,
            origin,
            pool,
            _permit: permit,
        }
    }

    pub(super) fn host(&self) -> &str {
        self.origin.host()
    }

    pub(super) fn release(self) {
        self.pool.put(self.origin, self.connection);
    }
}
