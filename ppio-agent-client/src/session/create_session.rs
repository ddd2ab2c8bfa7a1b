//! The builder of a session.

use std::collections::BTreeMap;
use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use super::sandbox_config::SandboxConfig;
use super::session_creation::{Created, SessionCreation};
use super::sessions::Sessions;

/// Creates a session when awaited.
///
/// An option that is set by a method of its own counts more than the same field of
/// [`config`](Self::config), in whatever order they are set.
#[derive(Clone)]
#[must_use = "does nothing until it is awaited"]
pub struct CreateSession {
    sessions: Sessions,
    template_id: String,
    config: SandboxConfig,
    options: SessionOptions,
}

/// What was set by a method of its own.
#[derive(Clone, Default)]
struct SessionOptions {
    timeout: Option<Duration>,
    start_timeout: Option<Duration>,
    auto_pause: Option<bool>,
    env_vars: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
}

impl SessionOptions {
    fn over(self, mut config: SandboxConfig) -> SandboxConfig {
        config.env_vars.extend(self.env_vars);
        config.metadata.extend(self.metadata);
        SandboxConfig {
            timeout: self.timeout.or(config.timeout),
            start_timeout: self.start_timeout.or(config.start_timeout),
            auto_pause: self.auto_pause.unwrap_or(config.auto_pause),
            ..config
        }
    }
}

impl CreateSession {
    pub(crate) fn new(sessions: Sessions, template_id: String) -> Self {
        Self {
            sessions,
            template_id,
            config: SandboxConfig::default(),
            options: SessionOptions::default(),
        }
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// How long the sandbox lives unless it is refreshed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # ppio_test_support::client_example!(async |client| {
    /// let session = client.create_session("tmpl_1").timeout(Duration::from_secs(1800)).await?;
    /// # Ok(()) });
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// The time limit for the agent to become healthy, instead of its template's.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.options.start_timeout = Some(timeout);
        self
    }

    /// Sets all options that no method of their own sets. A second config replaces the first.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// use ppio_agent_client::SandboxConfig;
    ///
    /// let config = SandboxConfig { auto_pause: true, ..SandboxConfig::default() };
    /// let session = client.create_session("tmpl_1").config(config).await?;
    /// # Ok(()) });
    /// ```
    pub fn config(mut self, config: SandboxConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets an environment variable of every process in the sandbox.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let session = client.create_session("tmpl_1").env("MODEL", "large").await?;
    /// # Ok(()) });
    /// ```
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.env_vars.insert(name.into(), value.into());
        self
    }

    /// Adds metadata, by which the sandbox can be found.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let session = client.create_session("tmpl_1").metadata("user", "42").await?;
    /// # Ok(()) });
    /// ```
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.metadata.insert(key.into(), value.into());
        self
    }

    /// Whether the sandbox is paused instead of killed when it expires.
    pub fn auto_pause(mut self, auto_pause: bool) -> Self {
        self.options.auto_pause = Some(auto_pause);
        self
    }

    fn into_creation(self) -> SessionCreation {
        SessionCreation {
            sessions: self.sessions,
            template_id: self.template_id,
            config: self.options.over(self.config),
        }
    }
}

impl IntoFuture for CreateSession {
    type Output = Created;
    type IntoFuture = Pin<Box<dyn Future<Output = Created> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.into_creation().run())
    }
}

impl fmt::Debug for CreateSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateSession")
            .field("template_id", &self.template_id)
            .field("config", &self.options.clone().over(self.config.clone()))
            .finish_non_exhaustive()
    }
}
