//! Open connections: those in use are counted, those at rest wait here for their next request.
//!
//! Our own rather than hyper-util's, for three reasons: every sandbox is a host of its own, so
//! a limit per host does not bound the whole; a request must be known to be unsent before it
//! may be sent again; and a dropped answer must close its connection at once, because that is
//! how the agent learns that nobody listens any more.

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

use super::payload::Payload;
use crate::error::{Error, NetworkErrorKind};

/// A connection that is not ready by then is not worth waiting for: making a new one is quicker.
const SETTLE: Duration = Duration::from_millis(100);

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// How many connections, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolLimits {
    /// Requests (with their answers' bodies) under way at once; more wait their turn.
    pub(crate) max_active: usize,
    /// Connections kept open between requests, over all hosts.
    pub(crate) max_idle: usize,
    /// How long a connection may rest before it is closed.
    pub(crate) idle_timeout: Duration,
}

/// What a connection can be reused for.
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
            .ok_or_else(|| Error::validation("url", format!("{uri} names no host")))?;
        Ok(Self {
            secure,
            host: host.to_ascii_lowercase(),
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

/// A proxy that wants whole URIs and, perhaps, credentials with every request.
#[derive(Debug)]
pub(super) struct ForwardProxy {
    pub(super) credentials: Option<HeaderValue>,
}

/// One HTTP/1.1 connection and the task that drives it; dropping it closes the socket.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Payload>,
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
        sender: SendRequest<Payload>,
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

    /// Sends, and waits for the head of the answer. On failure tells how far it came.
    pub(super) async fn send(
        &mut self,
        request: Request<Payload>,
    ) -> Result<Response<Incoming>, (NetworkErrorKind, hyper::Error)> {
        self.sender
            .try_send_request(request)
            .await
            .map_err(|mut failure| {
                // hyper hands the request back if, and only if, it never began to write it.
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
    /// The longest at rest first.
    connections: VecDeque<(Origin, Connection, Instant)>,
    /// Closes what has rested too long; there is one while anything rests.
    reaper: Option<Reaper>,
}

/// A task that ends with its owner.
#[derive(Debug)]
struct Reaper(JoinHandle<()>);

impl Drop for Reaper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Pool {
    pub(super) fn new(limits: PoolLimits) -> Arc<Self> {
        let places = limits.max_active.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            limits,
            active: Arc::new(Semaphore::new(places)),
            idle: Mutex::default(),
        })
    }

    /// Waits for a place among the requests under way.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.active).acquire_owned().await.ok()
    }

    /// The connection to `origin` that was used last, if one is still good.
    pub(super) async fn checkout(&self, origin: &Origin) -> Option<Connection> {
        while let Some(mut connection) = self.take(origin) {
            // Lets the driver hear what the other side said meanwhile, were it goodbye: an
            // invocation sent over a connection that is being closed could not be sent again.
            tokio::task::yield_now().await;
            // Waits until the driver has seen the end of the last answer, which is a matter of
            // microseconds; a connection that was closed meanwhile says so here.
            let ready = tokio::time::timeout(SETTLE, connection.sender.ready()).await;
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
        // An expiry too far away to be counted is a year's: no server keeps a connection so long.
        let until = now
            .checked_add(self.limits.idle_timeout)
            .unwrap_or_else(|| now + YEAR);
        let mut idle = self.lock();
        while idle.connections.len() >= self.limits.max_idle {
            idle.connections.pop_front();
        }
        idle.connections.push_back((origin, connection, until));
        let asleep = idle
            .reaper
            .as_ref()
            .is_none_or(|reaper| reaper.0.is_finished());
        // Outside of a runtime (a body dropped on a plain thread) the next checkout looks at
        // the time anyway.
        if let (true, Ok(runtime)) = (asleep, tokio::runtime::Handle::try_current()) {
            idle.reaper = Some(Reaper(runtime.spawn(reap(Arc::downgrade(self)))));
        }
    }

    /// Drops what has expired, and tells when the next one will.
    fn drop_expired(&self) -> Option<Instant> {
        let mut idle = self.lock();
        let now = Instant::now();
        idle.connections
            .retain(|(_, connection, until)| *until > now && !connection.sender.is_closed());
        idle.connections.front().map(|(_, _, until)| *until)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, IdleConnections> {
        // Nothing panics while it holds the lock, and a list of connections has no broken state.
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

/// A connection lent to one exchange: goes back to the pool when the answer has been read to
/// its end, and is closed when it is dropped before.
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
