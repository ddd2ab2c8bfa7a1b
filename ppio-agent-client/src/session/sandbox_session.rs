//! The handle of a session.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::session_core::{SessionCore, non_empty};
use crate::config::{AuthManager, Secret};
use crate::error::Error;
use crate::platform::Envd;
use crate::transport::{BodyLimit, RetryPolicy};

/// The time after its expiry during which a sandbox may still be alive, because a refresh may be in
/// flight.
const EXPIRY_GRACE: Duration = Duration::from_secs(60);

/// A sandbox with an agent in it. Cheap to clone; all clones are the same session.
///
/// When the last handle of a session that [`create_session`] created is dropped, the sandbox of the
/// session is killed in the background, as long as the runtime runs. [`close`](Self::close) also
/// kills the sandbox, waits for the platform's confirmation and returns errors; [`with_session`]
/// closes a session on every path; [`detach`](Self::detach) keeps the sandbox.
///
/// [`create_session`]: crate::AgentRuntimeClient::create_session
/// [`with_session`]: crate::AgentRuntimeClient::with_session
#[derive(Clone)]
pub struct SandboxSession {
    pub(super) core: Arc<SessionCore>,
}

/// A handle that does not keep the session open.
#[derive(Debug)]
pub(crate) struct WeakSession(Weak<SessionCore>);

impl WeakSession {
    /// Returns the session, if it has another handle.
    pub(crate) fn upgrade(&self) -> Option<SandboxSession> {
        self.0.upgrade().map(|core| SandboxSession { core })
    }
}

impl SandboxSession {
    /// The sandbox's id, which is also the session's.
    pub fn sandbox_id(&self) -> &str {
        self.core.sandbox_id()
    }

    /// The session's id, which is also the sandbox's.
    pub fn session_id(&self) -> &str {
        self.core.sandbox_id()
    }

    /// The id of the template that the sandbox was created from, as the platform names it.
    pub fn template_id(&self) -> &str {
        &self.core.template_id
    }

    /// The template as it was passed to
    /// [`create_session`](crate::AgentRuntimeClient::create_session): an id, an alias or a name.
    /// For any other session, this is [`template_id`](Self::template_id).
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let session = client.create_session("tmpl_1").await?;
    /// assert_eq!(session.requested_template(), "tmpl_1");
    /// # Ok(()) });
    /// ```
    pub fn requested_template(&self) -> &str {
        &self.core.requested_template
    }

    /// The URL (without path) of the agent. Requests to this URL need no further headers to reach
    /// the agent: `curl {host_url}/ping`. The exception is a
    /// [`ClientConfig::sandbox_url`](crate::ClientConfig::sandbox_url), which all sandboxes share,
    /// unless the URL and the domain of the sandbox are the same port of this machine.
    pub fn host_url(&self) -> &str {
        &self.core.host_url
    }

    /// How long the sandbox has existed. For a session that `create_session` did not create, this
    /// is the time since the start time that the platform returned, by this machine's clock; zero
    /// if the platform returned no time in the past.
    pub fn age(&self) -> Duration {
        self.core
            .created_at
            .map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// The URL (without path) of another port of the sandbox, for example of a page that the agent
    /// serves; see [`host_url`](Self::host_url).
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// println!("open {} in a browser", session.port_url(3000));
    /// # Ok(()) });
    /// ```
    pub fn port_url(&self, port: u16) -> String {
        let core = &self.core;
        core.client.endpoints.public_url(&core.address, port)
    }

    /// How long ago the agent was last called, or sent a part of a stream, through this session. A
    /// ping is not a call. Before the first call, the time since the session was created or found.
    pub fn idle(&self) -> Duration {
        self.core.lock().last_activity.elapsed()
    }

    /// How long the sandbox lives after it is created, refreshed or resumed.
    pub fn timeout(&self) -> Duration {
        self.core.lock().timeout
    }

    /// Returns a client of the daemon in the sandbox, for files and processes.
    ///
    /// A session from [`list_sessions`](crate::AgentRuntimeClient::list_sessions) lacks the
    /// daemon's access token, because platforms send it only for a single sandbox:
    /// [`get_session`](crate::AgentRuntimeClient::get_session) fetches the token.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
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

    /// Keeps the sandbox until it expires, even if all handles are dropped. Returns the sandbox's
    /// id.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let id = session.detach(); // another process finds it with `get_session`
    /// # Ok(()) });
    /// ```
    pub fn detach(self) -> String {
        self.core.lock().owned = false;
        self.sandbox_id().to_owned()
    }

    /// Stores the tokens of a response, and keeps a current token that the response lacks.
    pub(super) fn update_tokens(&self, envd: Option<Secret>, traffic: Option<Secret>) {
        let mut state = self.core.lock();
        state.envd_token = non_empty(envd).or(state.envd_token.take());
        state.traffic_token = non_empty(traffic).or(state.traffic_token.take());
    }

    /// Whether the sandbox has expired, as far as this process can tell.
    pub(crate) fn has_expired(&self) -> bool {
        let expires_at = self.core.lock().expires_at;
        expires_at.is_some_and(|at| Instant::now() >= at)
    }

    /// Whether less than half of the sandbox's timeout remains, as far as this process can tell.
    pub(crate) fn is_half_spent(&self) -> bool {
        let state = self.core.lock();
        let left = |at: Instant| at.saturating_duration_since(Instant::now());
        state
            .expires_at
            .is_some_and(|at| left(at) < state.timeout / 2)
    }

    /// Whether the session was closed, or expired so long ago that no refresh can be in flight. A
    /// sandbox that is paused when it expires does not end the session.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.core.lock();
        let over = |at: Instant| at.elapsed() > EXPIRY_GRACE;
        state.closed || !self.core.auto_pause && state.expires_at.is_some_and(over)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.core.lock().closed
    }

    /// Returns an error, without a request, if this session was closed.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        if !self.is_closed() {
            return Ok(());
        }
        Err(Error::SessionNotFound {
            sandbox_id: self.sandbox_id().to_owned(),
            status: None,
        })
    }

    pub(crate) fn default_timeout(&self) -> Duration {
        self.core.agent.timeout
    }

    pub(crate) fn stream_idle_timeout(&self) -> Duration {
        self.core.client.config.stream_idle_timeout
    }

    /// How often a call to the agent is retried, and how long the pauses are.
    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        self.core.agent.transport.retry_policy()
    }

    /// Spawns a task that the client waits for when it is closed.
    pub(crate) fn in_background(&self, task: impl Future<Output = ()> + Send + 'static) {
        let core = &self.core;
        core.client.background.spawn(&core.runtime, task);
    }

    /// A handle that does not keep the session open.
    pub(crate) fn downgrade(&self) -> WeakSession {
        WeakSession(Arc::downgrade(&self.core))
    }

    /// The secrets to remove from the errors of this session.
    pub(crate) fn auth(&self) -> AuthManager {
        self.core.auth()
    }

    /// The size limit of a response or of an item of a stream.
    pub(crate) fn response_limit(&self) -> BodyLimit {
        self.core.agent.limit
    }

    pub(crate) fn record_activity(&self) {
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
