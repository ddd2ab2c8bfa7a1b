//! A session, as its holders see it.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ppio_agent_protocol::headers;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::sandbox_config::SandboxConfig;
use super::session_core::{
    Origin, PORT_KEY, SessionCore, State, TIMEOUT_KEY, agent_service, instant_of, token,
};
use crate::config::AuthManager;
use crate::config::Secret;
use crate::core::ClientCore;
use crate::error::Error;
use crate::platform::{Envd, NewSandbox, Sandbox, SandboxInfo};
use crate::transport::BodyLimit;

/// How long after its time a sandbox is given up.
const GRACE: Duration = Duration::from_secs(60);

/// A sandbox with an agent in it. Cheap to clone; all clones are the same session.
///
/// When the last handle of a session that [`create_session`] made is dropped, its sandbox is ended
/// in the background. [`close`](Self::close) does the same, waits for it and reports;
/// [`detach`](Self::detach) lets the sandbox live on.
///
/// [`create_session`]: crate::AgentRuntimeClient::create_session
#[derive(Clone)]
pub struct SandboxSession {
    pub(super) core: Arc<SessionCore>,
}

impl SandboxSession {
    pub(super) fn of(core: Arc<SessionCore>) -> Self {
        Self { core }
    }

    /// A session for a sandbox that was just made.
    pub(crate) fn created(
        client: &Arc<ClientCore>,
        sandbox: Sandbox,
        request: &NewSandbox,
        config: &SandboxConfig,
    ) -> Self {
        let address = sandbox.address();
        let (agent_port, other_ports) = config
            .ports
            .split_first()
            .map_or((headers::AGENT_PORT, &[][..]), |(agent, others)| {
                (*agent, others)
            });
        let agent = agent_service(client, &address, agent_port);
        let core = SessionCore {
            agent_gets_key: client.endpoints.agent_gets_key(&address, &agent.base),
            agent,
            client: Arc::clone(client),
            template_id: sandbox.template_id,
            envd_version: sandbox.envd_version,
            other_ports: other_ports.to_vec(),
            auto_pause: request.auto_pause,
            created_at: Some(Instant::now()),
            runtime: Handle::current(),
            state: Mutex::new(State {
                envd_token: sandbox.envd_access_token,
                traffic_token: token(sandbox.traffic_access_token),
                ..State::new(Origin::Created, request.timeout)
            }),
            address,
        };
        Self::register(client, core)
    }

    /// A session for a sandbox that exists: the one that is open already, or a new handle.
    pub(crate) fn attach(client: &Arc<ClientCore>, info: SandboxInfo) -> Self {
        if let Some(open) = client.sessions.find(&info.sandbox_id) {
            open.keep_tokens(info.envd_access_token, info.traffic_access_token);
            return open;
        }
        let address = info.address();
        let kept = |key: &str| info.metadata.get(key)?.parse().ok();
        let timeout = kept(TIMEOUT_KEY).map_or(client.config.session_timeout, Duration::from_secs);
        let agent_port = kept(PORT_KEY)
            .and_then(|port| u16::try_from(port).ok())
            .unwrap_or(headers::AGENT_PORT);
        let agent = agent_service(client, &address, agent_port);
        let core = SessionCore {
            agent_gets_key: client.endpoints.agent_gets_key(&address, &agent.base),
            agent,
            client: Arc::clone(client),
            created_at: info.started_at.as_deref().and_then(instant_of),
            template_id: info.template_id,
            envd_version: info.envd_version.unwrap_or_default(),
            other_ports: Vec::new(),
            auto_pause: info.pauses_at_its_end,
            runtime: Handle::current(),
            state: Mutex::new(State {
                envd_token: info.envd_access_token,
                traffic_token: token(info.traffic_access_token),
                ..State::new(Origin::Attached, timeout)
            }),
            address,
        };
        Self::register(client, core)
    }

    /// Takes over the tokens of an answer that has some.
    pub(super) fn keep_tokens(&self, envd: Option<Secret>, traffic: Option<Secret>) {
        let mut state = self.core.lock();
        state.envd_token = token(envd).or(state.envd_token.take());
        state.traffic_token = token(traffic).or(state.traffic_token.take());
    }

    fn register(client: &ClientCore, core: SessionCore) -> Self {
        let core = Arc::new(core);
        client.sessions.add(&core);
        Self { core }
    }

    /// The sandbox's id, which is the session's.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// println!("{}", session.sandbox_id());
    /// # Ok(()) });
    /// ```
    pub fn sandbox_id(&self) -> &str {
        self.core.sandbox_id()
    }

    /// The session's id, which is the sandbox's.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// assert_eq!(session.session_id(), session.sandbox_id());
    /// # Ok(()) });
    /// ```
    pub fn session_id(&self) -> &str {
        self.core.sandbox_id()
    }

    /// The template the sandbox was made from.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// println!("{}", session.template_id());
    /// # Ok(()) });
    /// ```
    pub fn template_id(&self) -> &str {
        &self.core.template_id
    }

    /// Where the agent listens: scheme and host.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// assert!(session.host_url().starts_with("http"));
    /// # Ok(()) });
    /// ```
    pub fn host_url(&self) -> &str {
        &self.core.agent.base
    }

    /// How long the sandbox has existed, as far as the platform tells: a session found again is as old
    /// as its sandbox, by this machine's clock.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// println!("{} s old", session.age().as_secs());
    /// # Ok(()) });
    /// ```
    pub fn age(&self) -> Duration {
        self.core
            .created_at
            .map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// The URL (without path) of another port of the sandbox: of a page the agent serves, for example.
    /// With [`ClientConfig::sandbox_url`](crate::ClientConfig::sandbox_url) set, ports have no URLs of
    /// their own and this is the URL they share.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// println!("open {} in a browser", session.port_url(3000));
    /// # Ok(()) });
    /// ```
    pub fn port_url(&self, port: u16) -> String {
        let core = &self.core;
        core.client.port_of(&core.address, port).base
    }

    /// How long ago the agent was last called through this session.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// println!("idle for {} s", session.idle().as_secs());
    /// # Ok(()) });
    /// ```
    pub fn idle(&self) -> Duration {
        self.core.lock().last_activity.elapsed()
    }

    /// How long the sandbox lives after being made, refreshed or resumed.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// println!("{} s", session.timeout().as_secs());
    /// # Ok(()) });
    /// ```
    pub fn timeout(&self) -> Duration {
        self.core.lock().timeout
    }

    /// The daemon in the sandbox: its files and processes.
    ///
    /// A session found by [`list_sessions`](crate::AgentRuntimeClient::list_sessions) lacks the
    /// daemon's token, because platforms tell it of one sandbox at a time:
    /// [`get_session`](crate::AgentRuntimeClient::get_session) asks for it.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let log = session.envd().read_file("/app/agent.log").await?;
    /// # Ok(()) });
    /// ```
    pub fn envd(&self) -> Envd {
        let core = &self.core;
        let token = core.lock().envd_token.clone();
        let envd = core.client.envd(&core.address, token.as_ref());
        envd.with_version(&core.envd_version)
    }

    /// Lets the sandbox live on when the handles are dropped, until its time is up.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let id = session.detach(); // for another process to find with `get_session`
    /// # Ok(()) });
    /// ```
    pub fn detach(self) -> String {
        self.core.lock().owned = false;
        self.sandbox_id().to_owned()
    }

    /// Whether its time should be up, as far as this process knows.
    pub(crate) fn should_have_expired(&self) -> bool {
        let expires_at = self.core.lock().expires_at;
        expires_at.is_some_and(|at| Instant::now() >= at)
    }

    /// Whether less than half of its time is left, as far as this process knows.
    pub(crate) fn is_half_spent(&self) -> bool {
        let state = self.core.lock();
        let left = |at: Instant| at.saturating_duration_since(Instant::now());
        state
            .expires_at
            .is_some_and(|at| left(at) < state.timeout / 2)
    }

    /// Whether its time has been up for so long that nobody can be about to prolong it.
    pub(crate) fn is_long_over(&self) -> bool {
        let state = self.core.lock();
        let over = |at: Instant| at.elapsed() > GRACE;
        state.closed || !self.core.auto_pause && state.expires_at.is_some_and(over)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.core.lock().closed
    }

    /// Fails without asking anyone if this session was closed.
    pub(super) fn open(&self) -> Result<(), Error> {
        if self.is_closed() {
            return Err(self.gone());
        }
        Ok(())
    }

    pub(crate) fn gone(&self) -> Error {
        Error::SessionNotFound {
            sandbox_id: self.sandbox_id().to_owned(),
        }
    }

    pub(crate) fn client(&self) -> &Arc<ClientCore> {
        &self.core.client
    }

    pub(crate) fn default_timeout(&self) -> Duration {
        self.core.agent.timeout
    }

    pub(crate) fn stream_idle_timeout(&self) -> Duration {
        self.core.client.config.stream_idle_timeout
    }

    /// What errors of this session must not tell.
    pub(crate) fn auth(&self) -> AuthManager {
        self.core.auth()
    }

    /// The most that is read of an answer or an item.
    pub(crate) fn response_limit(&self) -> BodyLimit {
        self.core.agent.limit
    }

    pub(crate) fn touch(&self) {
        self.core.lock().last_activity = Instant::now();
    }

    pub(super) fn set_expiry(&self, timeout: Duration) {
        let mut state = self.core.lock();
        state.timeout = timeout;
        state.expires_at = Instant::now().checked_add(timeout);
    }
}

impl fmt::Debug for SandboxSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxSession")
            .field("sandbox_id", &self.sandbox_id())
            .field("template_id", &self.template_id())
            .field("host_url", &self.host_url())
            .finish_non_exhaustive()
    }
}
