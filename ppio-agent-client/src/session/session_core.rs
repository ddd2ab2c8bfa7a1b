//! What all handles of a session share, and what happens when the last of them is dropped.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use ppio_agent_protocol::headers;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::config::AuthManager;
use crate::config::{Secret, TRAFFIC_TOKEN};
use crate::core::ClientCore;
use crate::platform::{SandboxAddress, Service};

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
    /// Whether the agent is sent the API key where it has no traffic token.
    pub(super) agent_gets_key: bool,
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
    /// What the edge wants to be shown; the answers to creation and to resuming tell it.
    pub(super) traffic_token: Option<Secret>,
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
            traffic_token: None,
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

    /// What the agent is shown: the sandbox's traffic token, or the API key where it may have it.
    pub(super) fn credentials(&self) -> HeaderMap {
        match self.lock().traffic_token.as_ref() {
            Some(token) => traffic_headers(token),
            None if self.agent_gets_key => self.client.auth.auth_headers(),
            None => HeaderMap::new(),
        }
    }

    /// Another port of the sandbox; its edge wants the token, and nothing behind it the key.
    pub(super) fn port(&self, port: u16) -> Service {
        let mut service = self.client.port_of(&self.address, port);
        if let Some(token) = &self.lock().traffic_token {
            service.headers.extend(traffic_headers(token));
        }
        service
    }

    /// What errors of this session must not tell.
    pub(super) fn auth(&self) -> AuthManager {
        let auth = self.client.auth.clone();
        match &self.lock().traffic_token {
            Some(token) => auth.hiding(token),
            None => auth,
        }
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

/// The agent's port: what every call to it carries, beside the credentials.
pub(super) fn agent_service(client: &ClientCore, address: &SandboxAddress, port: u16) -> Service {
    let mut service = client.port_of(address, port);
    if let Ok(id) = HeaderValue::from_str(&address.sandbox_id) {
        let session = HeaderName::from_static(headers::AGENT_CORE_SESSION_ID);
        service.headers.insert(session, id);
    }
    service
}

fn traffic_headers(token: &Secret) -> HeaderMap {
    let name = HeaderName::from_static(TRAFFIC_TOKEN);
    token
        .header("")
        .map(|token| (name, token))
        .into_iter()
        .collect()
}

/// A token that an answer holds; an empty one is none.
pub(super) fn token(token: Option<Secret>) -> Option<Secret> {
    token.filter(|token| !token.expose().is_empty())
}

/// A moment of the platform's clock by this process's; `None` if it lies in the future, or before
/// what this process's clock can tell.
pub(super) fn instant_of(time: &str) -> Option<Instant> {
    let time = humantime::parse_rfc3339(time).ok()?;
    Instant::now().checked_sub(time.elapsed().ok()?)
}
