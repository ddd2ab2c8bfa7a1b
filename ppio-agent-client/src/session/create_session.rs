//! The builder of a session.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::sandbox_config::SandboxConfig;
use super::session_creation::{Created, SessionCreation};
use super::sessions::Sessions;
use crate::deferred::{Deferred, DeferredCall};

/// Creates a session when awaited.
///
/// An option that is set by a method of its own takes precedence over the same field of
/// [`config`](Self::config), in whatever order they are set. Environment variables and metadata are
/// added to those of the config.
///
/// The builder is a future, so it can be spawned, or awaited together with other futures:
///
/// ```
/// # ppio_test_support::client_example!(async |client| {
/// use futures_util::future::try_join_all;
///
/// let sessions = try_join_all((0..3).map(|_| client.create_session("tmpl_1"))).await?;
/// # Ok(()) });
/// ```
///
/// # Panics
/// A method that sets an option panics after the first poll: the option would be ignored.
#[must_use = "does nothing until it is awaited"]
pub struct CreateSession {
    call: Deferred<CreateOptions>,
}

/// The template, and the options set so far.
struct CreateOptions {
    sessions: Sessions,
    template_id: String,
    config: SandboxConfig,
    own: OwnOptions,
}

/// The options that were set by methods of their own.
#[derive(Clone, Default)]
struct OwnOptions {
    timeout: Option<Duration>,
    start_timeout: Option<Duration>,
    auto_pause: Option<bool>,
    env_vars: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
}

impl OwnOptions {
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
        let options = CreateOptions {
            sessions,
            template_id,
            config: SandboxConfig::default(),
            own: OwnOptions::default(),
        };
        Self {
            call: Deferred::new(options),
        }
    }

    fn set(mut self, change: impl FnOnce(&mut CreateOptions)) -> Self {
        self.call.set(change);
        self
    }

    pub(crate) fn set_config(&mut self, config: SandboxConfig) {
        self.call.set(|options| options.config = config);
    }

    /// Sets how long the sandbox lives unless it is refreshed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # ppio_test_support::client_example!(async |client| {
    /// let session = client.create_session("tmpl_1").timeout(Duration::from_secs(1800)).await?;
    /// # Ok(()) });
    /// ```
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|options| options.own.timeout = Some(timeout))
    }

    /// Sets the time limit for the agent to become healthy, in place of the template's time limit.
    pub fn start_timeout(self, timeout: Duration) -> Self {
        self.set(|options| options.own.start_timeout = Some(timeout))
    }

    /// Sets all options except those that are set by their own methods. A second config replaces
    /// the first.
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
        self.set_config(config);
        self
    }

    /// Sets an environment variable of every process in the sandbox.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let session = client.create_session("tmpl_1").env("MODEL", "large").await?;
    /// # Ok(()) });
    /// ```
    pub fn env(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|options| {
            options.own.env_vars.insert(name.into(), value.into());
        })
    }

    /// Adds metadata, by which the sandbox can be found.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let session = client.create_session("tmpl_1").metadata("user", "42").await?;
    /// # Ok(()) });
    /// ```
    pub fn metadata(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|options| {
            options.own.metadata.insert(key.into(), value.into());
        })
    }

    /// Sets whether the sandbox is paused instead of killed when it expires.
    pub fn auto_pause(self, auto_pause: bool) -> Self {
        self.set(|options| options.own.auto_pause = Some(auto_pause))
    }
}

impl DeferredCall for CreateOptions {
    type Output = Created;

    async fn run(self) -> Created {
        let creation = SessionCreation {
            sessions: self.sessions,
            template_id: self.template_id,
            config: self.own.over(self.config),
        };
        creation.run().await
    }
}

impl Future for CreateSession {
    type Output = Created;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Created> {
        Pin::new(&mut self.get_mut().call).poll(cx)
    }
}

impl fmt::Debug for CreateSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("CreateSession");
        if let Some(options) = self.call.options() {
            let config = options.own.clone().over(options.config.clone());
            output
                .field("template_id", &options.template_id)
                .field("config", &config);
        }
        output.finish_non_exhaustive()
    }
}
