//! Making a session: the sandbox, the agent in it, and no trace of either when it fails.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::core::ClientCore;
use super::reclaim::{CREATE_KEY, reclaim, unique};
use crate::error::Error;
use crate::platform::NewSandbox;
use crate::session::{SandboxConfig, SandboxSession, TIMEOUT_KEY};
use crate::templates::Launch;

/// How long a failed creation waits for its sandbox to be ended before it reports. The ending goes
/// on in the background after that.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// A session to be made. Await it.
#[derive(Debug, Clone)]
#[must_use = "nothing is made until this is awaited"]
pub struct CreateSession {
    core: Arc<ClientCore>,
    template_id: String,
    config: SandboxConfig,
}

impl CreateSession {
    pub(super) fn new(core: Arc<ClientCore>, template_id: String) -> Self {
        Self {
            core,
            template_id,
            config: SandboxConfig::default(),
        }
    }

    pub(crate) fn core(&self) -> &Arc<ClientCore> {
        &self.core
    }

    /// How long the sandbox lives unless it is refreshed.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn run(client: ppio_agent_client::AgentRuntimeClient) -> Result<(), ppio_agent_client::Error> {
    /// let session = client.create_session("tmpl_1").timeout(Duration::from_secs(1800)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = Some(timeout);
        self
    }

    /// How long the agent may take to become healthy, instead of what its template says.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn run(client: ppio_agent_client::AgentRuntimeClient) -> Result<(), ppio_agent_client::Error> {
    /// let session = client.create_session("tmpl_1").start_timeout(Duration::from_secs(5)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.config.start_timeout = Some(timeout);
        self
    }

    /// All options at once, in place of those set so far.
    ///
    /// ```no_run
    /// # async fn run(client: ppio_agent_client::AgentRuntimeClient) -> Result<(), ppio_agent_client::Error> {
    /// use ppio_agent_client::SandboxConfig;
    ///
    /// let config = SandboxConfig { auto_pause: true, ..SandboxConfig::default() };
    /// let session = client.create_session("tmpl_1").config(config).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn config(mut self, config: SandboxConfig) -> Self {
        self.config = config;
        self
    }

    /// An environment variable of everything in the sandbox.
    ///
    /// ```no_run
    /// # async fn run(client: ppio_agent_client::AgentRuntimeClient) -> Result<(), ppio_agent_client::Error> {
    /// let session = client.create_session("tmpl_1").env("MODEL", "large").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.env_vars.insert(name.into(), value.into());
        self
    }

    /// A fact to find the sandbox by.
    ///
    /// ```no_run
    /// # async fn run(client: ppio_agent_client::AgentRuntimeClient) -> Result<(), ppio_agent_client::Error> {
    /// let session = client.create_session("tmpl_1").metadata("user", "42").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.metadata.insert(key.into(), value.into());
        self
    }

    /// Whether the sandbox is paused instead of killed when its time is up.
    ///
    /// ```no_run
    /// # async fn run(client: ppio_agent_client::AgentRuntimeClient) -> Result<(), ppio_agent_client::Error> {
    /// let session = client.create_session("tmpl_1").auto_pause(true).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn auto_pause(mut self, auto_pause: bool) -> Self {
        self.config.auto_pause = auto_pause;
        self
    }

    /// The request, with the marks by which the sandbox can be found again.
    fn new_sandbox(&self) -> Result<NewSandbox, Error> {
        if self.template_id.is_empty() {
            return Err(Error::validation("template_id", "must not be empty"));
        }
        self.config.validate()?;
        let config = self.config.clone();
        let timeout = config.timeout.unwrap_or(self.core.config.session_timeout);
        let mut metadata = config.metadata;
        metadata.insert(CREATE_KEY.to_owned(), unique());
        metadata.insert(TIMEOUT_KEY.to_owned(), timeout.as_secs().to_string());
        Ok(NewSandbox {
            auto_pause: config.auto_pause,
            env_vars: config.env_vars,
            metadata,
            secure: config.secure.or(Some(!self.core.endpoints.is_legacy())),
            allow_internet_access: config.allow_internet_access,
            volume_mounts: config.volume_mounts,
            ..NewSandbox::new(&self.template_id, timeout)
        })
    }

    /// Makes the sandbox and asks for the template meanwhile. Not to be cancelled: the request
    /// may be under way, and then its answer must be heard.
    async fn make(&self, request: NewSandbox) -> Result<(SandboxSession, Launch), Error> {
        let core = &self.core;
        let (made, template) = tokio::join!(
            core.platform.create_sandbox(&request),
            core.templates.find(&self.template_id),
        );
        let sandbox = match made {
            Ok(sandbox) => sandbox,
            Err(error) => {
                reclaim(core, &request, &error);
                return Err(error.creating(&self.template_id, None));
            }
        };
        // From here on dropping the session ends the sandbox.
        let session = SandboxSession::created(core, sandbox, request.timeout, request.auto_pause);
        match template {
            Ok(template) => {
                let mut launch = Launch::of(template.as_ref());
                if let Some(timeout) = self.config.start_timeout {
                    launch.start_timeout = timeout;
                }
                Ok((session, launch))
            }
            Err(error) => Err(self.undo(session, error).await),
        }
    }

    /// Ends the sandbox of a creation that failed, and tells why it failed.
    async fn undo(&self, session: SandboxSession, error: Error) -> Error {
        if let Ok(Err(unclosed)) = timeout(CLEAN_UP, session.close()).await {
            tracing::warn!(error = %unclosed, "cannot end the sandbox of a failed creation yet");
        }
        error.creating(&self.template_id, Some(session.sandbox_id()))
    }

    /// The whole creation, as a task that nobody's impatience can stop half-way.
    async fn run(self, request: NewSandbox, mut caller: oneshot::Sender<Outcome>) {
        let started = Instant::now();
        let outcome = match self.make(request).await {
            Err(error) => Err(error),
            Ok((session, launch)) => {
                let launched = tokio::select! {
                    launched = session.launch(&launch, started) => launched,
                    // The caller is gone; dropping the session ends the sandbox.
                    () = caller.closed() => return,
                };
                match launched {
                    Ok(()) => Ok(session),
                    Err(error) => Err(self.undo(session, error).await),
                }
            }
        };
        // A caller that left meanwhile leaves a session that is dropped right here.
        drop(caller.send(outcome));
    }
}

type Outcome = Result<SandboxSession, Error>;

impl IntoFuture for CreateSession {
    type Output = Outcome;
    type IntoFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = self.new_sandbox()?;
            let span = tracing::info_span!("create_session", template_id = %self.template_id);
            let (sender, outcome) = oneshot::channel();
            let core = Arc::clone(&self.core);
            core.background.spawn(
                &Handle::current(),
                self.run(request, sender).instrument(span),
            );
            outcome.await.unwrap_or_else(|_| {
                Err(Error::malformed(
                    "create a session",
                    "the runtime is shutting down",
                ))
            })
        })
    }
}
