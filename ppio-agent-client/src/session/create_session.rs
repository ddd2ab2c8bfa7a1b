//! Making a session: the sandbox, the agent in it, and no trace of either when it fails.

use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use ppio_agent_protocol::headers::AGENT_PORT;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::orphan_cleanup::{CREATE_KEY, reclaim, unique};
use super::sandbox_config::SandboxConfig;
use super::sandbox_session::SandboxSession;
use super::session_core::{PORT_KEY, TIMEOUT_KEY};
use crate::core::ClientCore;
use crate::error::Error;
use crate::platform::{NewSandbox, check_name};
use crate::templates::StartCommand;

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
    pub(crate) fn new(core: Arc<ClientCore>, template_id: String) -> Self {
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
    /// ```
    /// # use std::time::Duration;
    /// # integration_tests::example(async |client| {
    /// let session = client.create_session("tmpl_1").timeout(Duration::from_secs(1800)).await?;
    /// # Ok(()) });
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = Some(timeout);
        self
    }

    /// How long the agent may take to become healthy, instead of what its template says.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # integration_tests::example(async |client| {
    /// let session = client.create_session("tmpl_1").start_timeout(Duration::from_secs(5)).await?;
    /// # Ok(()) });
    /// ```
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.config.start_timeout = Some(timeout);
        self
    }

    /// All options at once, in place of those set so far.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
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

    /// An environment variable of everything in the sandbox.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// let session = client.create_session("tmpl_1").env("MODEL", "large").await?;
    /// # Ok(()) });
    /// ```
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.env_vars.insert(name.into(), value.into());
        self
    }

    /// A fact to find the sandbox by.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// let session = client.create_session("tmpl_1").metadata("user", "42").await?;
    /// # Ok(()) });
    /// ```
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.metadata.insert(key.into(), value.into());
        self
    }

    /// Whether the sandbox is paused instead of killed when its time is up.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// let session = client.create_session("tmpl_1").auto_pause(true).await?;
    /// # Ok(()) });
    /// ```
    pub fn auto_pause(mut self, auto_pause: bool) -> Self {
        self.config.auto_pause = auto_pause;
        self
    }

    /// The request, with the marks by which the sandbox can be found again.
    fn new_sandbox(&self) -> Result<NewSandbox, Error> {
        check_name("template_id", &self.template_id)?;
        self.config.validate()?;
        let config = self.config.clone();
        let timeout = config.timeout.unwrap_or(self.core.config.session_timeout);
        let mut metadata = config.metadata;
        metadata.insert(CREATE_KEY.to_owned(), unique());
        metadata.insert(TIMEOUT_KEY.to_owned(), timeout.as_secs().to_string());
        if let Some(port) = config.ports.first().filter(|port| **port != AGENT_PORT) {
            metadata.insert(PORT_KEY.to_owned(), port.to_string());
        }
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

    /// Makes the sandbox. Not to be cancelled: the request may be under way, and then its answer
    /// must be heard.
    async fn make(&self, request: &NewSandbox) -> Result<SandboxSession, Error> {
        match self.core.platform.create_sandbox(request).await {
            // From here on dropping the session ends the sandbox.
            Ok(sandbox) => Ok(SandboxSession::created(
                &self.core,
                sandbox,
                request,
                &self.config,
            )),
            Err(error) => {
                reclaim(&self.core, request, &error);
                Err(error.creating(&self.template_id, None))
            }
        }
    }

    /// Everything between a sandbox and a session: its size, its agent, its ports.
    async fn prepare(
        &self,
        session: &SandboxSession,
        lookup: impl Future<Output = Result<StartCommand, Error>>,
    ) -> Result<(), Error> {
        if self.config.asks_for_a_size() {
            self.config.check_size(&session.info().await?)?;
        }
        session.launch(lookup, self.config.start_timeout).await
    }

    /// Ends the sandbox of a creation that failed, and tells why it failed.
    async fn undo(&self, session: SandboxSession, error: Error) -> Error {
        tracing::debug!(sandbox_id = session.sandbox_id(), %error, "undoing a creation");
        if let Ok(Err(unclosed)) = timeout(CLEAN_UP, session.close()).await {
            tracing::warn!(error = %unclosed, "cannot end the sandbox of a failed creation yet");
        }
        error.creating(&self.template_id, Some(session.sandbox_id()))
    }

    /// The whole creation, as a task that nobody's impatience can stop half-way.
    async fn run(self, request: NewSandbox, mut caller: oneshot::Sender<Outcome>) {
        let outcome = {
            let (core, template_id) = (&self.core, self.template_id.as_str());
            let mut lookup = pin!(core.start_commands.find(&core.templates, template_id));
            let mut making = pin!(self.make(&request));
            let mut found = None;
            // Neither needs the other, and a sandbox that is made does not wait for its template.
            let made = loop {
                tokio::select! {
                    biased;
                    made = &mut making => break made,
                    launch = &mut lookup, if found.is_none() => found = Some(launch),
                }
            };
            match made {
                Err(error) => Err(error),
                Ok(session) => {
                    let lookup = async {
                        match found {
                            Some(launch) => launch,
                            None => lookup.await,
                        }
                    };
                    let prepared = tokio::select! {
                        prepared = self.prepare(&session, lookup) => prepared,
                        // The caller is gone; dropping the session ends the sandbox.
                        () = caller.closed() => return,
                    };
                    match prepared {
                        Ok(()) => Ok(session),
                        Err(error) => Err(self.undo(session, error).await),
                    }
                }
            }
        };
        if outcome.is_err() {
            self.core.start_commands.forget(&self.template_id);
        }
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
                Err(Error::protocol(
                    "create a session",
                    "the runtime is shutting down",
                ))
            })
        })
    }
}
