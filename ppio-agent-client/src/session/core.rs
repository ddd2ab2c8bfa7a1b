//! What all handles of a session share, and what happens when the last of them is dropped.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use ppio_agent_protocol::headers;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::client::ClientCore;
use crate::platform::{SandboxAddress, Service};
use crate::secret::Secret;

/// The key under which a sandbox's own timeout is kept with it, so that whoever finds the session
/// again knows it.
pub(crate) const TIMEOUT_KEY: &str = "ppio-client-timeout";

/// The key under which the agent's port is kept with the sandbox, where it is not the usual one.
pub(crate) const PORT_KEY: &str = "ppio-client-port";

/// Who made a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This client: the sandbox ends with the last handle.
    Created,
    /// Somebody else, or this client under an earlier handle: it stays.
    Attached,
}

pub(crate) struct SessionCore {
    pub(super) client: Arc<ClientCore>,
    pub(super) address: SandboxAddress,
    pub(super) template_id: String,
    pub(super) envd_version: String,
    pub(super) agent: Service,
    /// The ports to wait for beside the agent's.
    pub(super) other_ports: Vec<u16>,
    pub(super) auto_pause: bool,
    /// When the sandbox was made, by this process's clock; `None` if that was before it can tell.
    pub(super) created_at: Option<Instant>,
    /// Where the background is, for handles that are dropped outside of a runtime.
    pub(super) runtime: Handle,
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    /// Lists do not tell it; looking at one sandbox may.
    pub(super) envd_token: Option<Secret>,
    pub(super) owned: bool,
    pub(super) closed: bool,
    pub(super) timeout: Duration,
    /// When the sandbox's time is up, as far as this process knows.
    pub(super) expires_at: Option<Instant>,
    pub(super) last_activity: Instant,
}

impl State {
    pub(super) fn new(origin: Origin, timeout: Duration) -> Self {
        let now = Instant::now();
        Self {
            envd_token: None,
            owned: origin == Origin::Created,
            closed: false,
            timeout,
            expires_at: (origin == Origin::Created)
                .then(|| now.checked_add(timeout))
                .flatten(),
            last_activity: now,
        }
    }
}

impl SessionCore {
    pub(super) fn sandbox_id(&self) -> &str {
        &self.address.sandbox_id
    }

    pub(super) fn is_owned(&self) -> bool {
        let state = self.lock();
        state.owned && !state.closed
    }

    pub(super) fn mark_closed(&self) {
        self.lock().closed = true;
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Each field is written whole; there is no broken state to see.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SessionCore {
    fn drop(&mut self) {
        let sandbox_id = self.sandbox_id().to_owned();
        self.client.sessions.dropped(&sandbox_id);
        if !self.is_owned() {
            return;
        }
        let platform = self.client.platform.clone();
        self.client.background.spawn(&self.runtime, async move {
            if let Err(error) = platform.kill_sandbox(&sandbox_id).await {
                tracing::warn!(%sandbox_id, %error, "a sandbox could not be ended, it lives until its time is up");
            }
        });
    }
}

impl fmt::Debug for SessionCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionCore")
            .field(&self.sandbox_id())
            .finish()
    }
}

/// The agent's port: what every call to it carries.
pub(super) fn agent_service(
    client: &ClientCore,
    address: &SandboxAddress,
    port: u16,
    traffic_token: Option<&Secret>,
) -> Service {
    let mut service = client.port_of(address, port);
    service.headers.extend(client.auth.auth_headers());
    if let Ok(id) = HeaderValue::from_str(&address.sandbox_id) {
        let session = HeaderName::from_static(headers::AGENT_CORE_SESSION_ID);
        service.headers.insert(session, id);
    }
    if let Some(token) = traffic_token.and_then(|token| token.header("")) {
        let name = HeaderName::from_static("e2b-traffic-access-token");
        service.headers.insert(name, token);
    }
    if let Some(token) = traffic_token {
        service.auth = service.auth.hiding(token);
    }
    debug_assert!(service.headers.contains_key(header::AUTHORIZATION));
    service
}

/// A moment of the platform's clock by this process's; `None` if it lies in the future, or before
/// what this process's clock can tell.
pub(super) fn instant_of(time: &str) -> Option<Instant> {
    let time = humantime::parse_rfc3339(time).ok()?;
    Instant::now().checked_sub(time.elapsed().ok()?)
}
