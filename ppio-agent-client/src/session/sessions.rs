//! Creates, finds and closes the sessions of a client.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ppio_agent_protocol::headers::AGENT_PORT;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::registry::SessionRegistry;
use super::sandbox_config::SandboxConfig;
use super::sandbox_session::SandboxSession;
use super::session_core::{
    PORT_KEY, SessionCore, SessionState, TIMEOUT_KEY, agent_service, non_empty,
};
use crate::core::ClientCore;
use crate::error::Error;
use crate::platform::{NewSandbox, Sandbox, SandboxInfo};

/// The sessions of a client. Cheap to clone; clones share the open sessions.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    core: Arc<ClientCore>,
    registry: Arc<SessionRegistry<SessionCore>>,
}

impl Sessions {
    pub(crate) fn new(core: Arc<ClientCore>) -> Self {
        Self {
            core,
            registry: Arc::default(),
        }
    }

    pub(crate) fn core(&self) -> &Arc<ClientCore> {
        &self.core
    }

    /// Registers the session of a sandbox that was just created.
    pub(super) fn created(
        &self,
        sandbox: Sandbox,
        request: &NewSandbox,
        config: &SandboxConfig,
    ) -> SandboxSession {
        let address = sandbox.address();
        let (agent_port, other_ports) = match config.ports.split_first() {
            Some((agent, others)) => (*agent, others),
            None => (AGENT_PORT, &[][..]),
        };
        let agent = agent_service(&self.core, &address, agent_port);
        self.register(SessionCore {
            agent_gets_key: self.core.endpoints.agent_gets_key(&address, &agent.base),
            host_url: self.core.endpoints.public_url(&address, agent_port),
            agent,
            client: Arc::clone(&self.core),
            registry: Arc::clone(&self.registry),
            template_id: sandbox.template_id,
            requested_template: request.template_id.clone(),
            envd_version: sandbox.envd_version,
            other_ports: other_ports.to_vec(),
            auto_pause: request.auto_pause,
            created_at: Some(Instant::now()),
            runtime: Handle::current(),
            state: Mutex::new(SessionState {
                envd_token: sandbox.envd_access_token,
                traffic_token: non_empty(sandbox.traffic_access_token),
                ..SessionState::created(request.timeout)
            }),
            address,
        })
    }

    /// Returns the session of an existing sandbox: the open session, or else a new session that
    /// does not own the sandbox.
    pub(crate) fn attach(&self, info: SandboxInfo) -> SandboxSession {
        if let Some(open) = self.find(&info.sandbox_id) {
            open.update_tokens(info.envd_access_token, info.traffic_access_token);
            return open;
        }
        let address = info.address();
        let stored = |key: &str| info.metadata.get(key)?.parse().ok();
        let timeout = stored(TIMEOUT_KEY);
        let timeout = timeout.map_or(self.core.config.session_timeout, Duration::from_secs);
        let agent_port = stored(PORT_KEY)
            .and_then(|port| u16::try_from(port).ok())
            .unwrap_or(AGENT_PORT);
        let agent = agent_service(&self.core, &address, agent_port);
        self.register(SessionCore {
            agent_gets_key: self.core.endpoints.agent_gets_key(&address, &agent.base),
            host_url: self.core.endpoints.public_url(&address, agent_port),
            agent,
            client: Arc::clone(&self.core),
            registry: Arc::clone(&self.registry),
            created_at: info.started_at.as_deref().and_then(instant_of),
            requested_template: info.template_id.clone(),
            template_id: info.template_id,
            envd_version: info.envd_version.unwrap_or_default(),
            other_ports: Vec::new(),
            auto_pause: info.pauses_at_its_end,
            runtime: Handle::current(),
            state: Mutex::new(SessionState {
                envd_token: info.envd_access_token,
                traffic_token: non_empty(info.traffic_access_token),
                ..SessionState::attached(timeout)
            }),
            address,
        })
    }

    fn register(&self, core: SessionCore) -> SandboxSession {
        let core = Arc::new(core);
        self.registry.insert(core.sandbox_id(), &core);
        SandboxSession { core }
    }

    /// The session of this sandbox that still has a handle, even if the session was closed.
    pub(crate) fn find(&self, sandbox_id: &str) -> Option<SandboxSession> {
        let core = self.registry.find(sandbox_id)?;
        Some(SandboxSession { core })
    }

    /// Marks the session of a sandbox that is gone as closed.
    pub(crate) fn remove(&self, sandbox_id: &str) {
        if let Some(core) = self.registry.remove(sandbox_id) {
            core.mark_closed();
        }
    }

    /// Closes every open session that was created by this client and not detached, concurrently.
    /// Returns the first failure.
    pub(crate) async fn close_all(&self) -> Result<(), Error> {
        let mut closing = JoinSet::new();
        for core in self.registry.all() {
            if core.is_owned() {
                let session = SandboxSession { core };
                closing.spawn(async move { session.close().await });
            }
        }
        let mut outcome = Ok(());
        while let Some(closed) = closing.join_next().await {
            // A task that panicked has no result to report; closing does not panic.
            if let Ok(Err(error)) = closed {
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }
}

impl SandboxSession {
    /// The sessions of the same client.
    pub(crate) fn siblings(&self) -> Sessions {
        Sessions {
            core: Arc::clone(&self.core.client),
            registry: Arc::clone(&self.core.registry),
        }
    }
}

/// Converts an RFC 3339 time to this process's clock; `None` if the time is malformed, lies in the
/// future, or lies before the range of the clock.
fn instant_of(time: &str) -> Option<Instant> {
    let time = humantime::parse_rfc3339(time).ok()?;
    Instant::now().checked_sub(time.elapsed().ok()?)
}
