//! The state that all handles of a session share, and what dropping the last handle does.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use ppio_agent_protocol::headers;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::registry::SessionRegistry;
use crate::config::{AuthManager, Secret, TRAFFIC_TOKEN};
use crate::core::ClientCore;
use crate::platform::{SandboxAddress, Service};

/// The metadata key of the sandbox's timeout, so that a later session of the sandbox has the same
/// timeout.
pub(super) const TIMEOUT_KEY: &str = "ppio-client-timeout";

/// The metadata key of the agent's port, which is set if the port is not the default.
pub(super) const PORT_KEY: &str = "ppio-client-port";

pub(super) struct SessionCore {
    pub(super) client: Arc<ClientCore>,
    pub(super) registry: Arc<SessionRegistry<SessionCore>>,
    pub(super) address: SandboxAddress,
    pub(super) template_id: String,
    /// The template as the caller named it.
    pub(super) requested_template: String,
    /// See [`SandboxSession::host_url`](super::SandboxSession::host_url).
    pub(super) host_url: String,
    pub(super) envd_version: String,
    pub(super) agent: Service,
    /// Whether the agent is sent the API key if the sandbox has no traffic token.
    pub(super) agent_gets_key: bool,
    /// The ports to wait for, other than the agent's.
    pub(super) other_ports: Vec<u16>,
    pub(super) auto_pause: bool,
    /// When the sandbox was created, by this process's clock; `None` if the platform sent no time
    /// that the clock can express.
    pub(super) created_at: Option<Instant>,
    /// The runtime that kills the sandbox of a session that is dropped outside of a runtime.
    pub(super) runtime: Handle,
    pub(super) state: Mutex<SessionState>,
}

pub(super) struct SessionState {
    /// The daemon's access token: absent from lists of sandboxes, optional in the response for a
    /// single sandbox.
    pub(super) envd_token: Option<Secret>,
    /// The token that the platform's edge proxy requires, from the responses to creation, resuming
    /// and lookups.
    pub(super) traffic_token: Option<Secret>,
    /// Whether the sandbox is killed when the last handle is dropped.
    pub(super) owned: bool,
    pub(super) closed: bool,
    pub(super) timeout: Duration,
    /// When the sandbox expires, as far as this process can tell.
    pub(super) expires_at: Option<Instant>,
    pub(super) last_activity: Instant,
}

impl SessionState {
    /// The state of a sandbox that this client created: the sandbox is killed when the session's
    /// last handle is dropped.
    pub(super) fn created(timeout: Duration) -> Self {
        Self {
            owned: true,
            expires_at: Instant::now().checked_add(timeout),
            ..Self::attached(timeout)
        }
    }

    /// The state of a sandbox that this client does not own: another client created it, or an
    /// earlier session of this client was detached from it.
    pub(super) fn attached(timeout: Duration) -> Self {
        Self {
            envd_token: None,
            traffic_token: None,
            owned: false,
            closed: false,
            timeout,
            expires_at: None,
            last_activity: Instant::now(),
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

    /// Returns the credentials for the agent: the sandbox's traffic token, or the API key if the
    /// agent may be sent the key.
    pub(super) fn credentials(&self) -> HeaderMap {
        match self.lock().traffic_token.as_ref() {
            Some(token) => traffic_headers(token),
            None if self.agent_gets_key => self.client.auth.auth_headers(),
            None => HeaderMap::new(),
        }
    }

    /// The service on another port of the sandbox, with the token for the platform's edge proxy and
    /// without the API key.
    pub(super) fn port(&self, port: u16) -> Service {
        let mut service = self.client.port_of(&self.address, port);
        if let Some(token) = &self.lock().traffic_token {
            service.headers.extend(traffic_headers(token));
        }
        service
    }

    /// The secrets to remove from the errors of this session.
    pub(super) fn auth(&self) -> AuthManager {
        let auth = self.client.auth.clone();
        match &self.lock().traffic_token {
            Some(token) => auth.with_token(token),
            None => auth,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SessionState> {
        // Each field is written whole, so a panic cannot leave an invalid state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SessionCore {
    fn drop(&mut self) {
        let sandbox_id = self.sandbox_id().to_owned();
        self.registry.remove_dropped(&sandbox_id);
        if !self.is_owned() {
            return;
        }
        let platform = self.client.platform.clone();
        self.client.background.spawn(&self.runtime, async move {
            if let Err(error) = platform.kill_sandbox(&sandbox_id).await {
                let error = error.report();
                tracing::warn!(
                    %sandbox_id, %error,
                    "cannot kill a sandbox; the sandbox runs until it expires"
                );
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

/// The service on the agent's port, with the headers of every call to it except the credentials.
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

/// The token of a response, unless it is empty: platforms send an empty token if there is none.
pub(super) fn non_empty(token: Option<Secret>) -> Option<Secret> {
    token.filter(|token| !token.expose().is_empty())
}
