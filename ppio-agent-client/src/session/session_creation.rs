//! Creates a session: the sandbox and the agent in it. If the creation fails, the sandbox is
//! killed.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ppio_agent_protocol::headers::AGENT_PORT;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{Instrument as _, Span, field};

use super::orphan_cleanup::{CREATE_KEY, idempotency_key, kill_orphan, may_exist};
use super::sandbox_config::SandboxConfig;
use super::sandbox_session::SandboxSession;
use super::session_core::{PORT_KEY, TIMEOUT_KEY};
use super::sessions::Sessions;
use crate::error::Error;
use crate::platform::{NewSandbox, check_name};
use crate::templates::StartCommand;

/// How long a failed creation waits for its sandbox to be killed before it returns. The kill
/// continues in the background.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a creation whose connection broke waits for the lookup of the template, whose response
/// shows whether the platform honours idempotency keys.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) type Created = Result<SandboxSession, Error>;

/// The creation of one session, with its final options.
pub(super) struct SessionCreation {
    pub(super) sessions: Sessions,
    pub(super) template_id: String,
    pub(super) config: SandboxConfig,
}

impl SessionCreation {
    /// Creates the session in a task of its own. If this future is dropped, the sandbox is killed.
    pub(super) async fn run(self) -> Created {
        let request = self.new_sandbox()?;
        let span = tracing::info_span!(
            "create_session",
            otel.kind = "client",
            otel.status_code = field::Empty,
            session.id = field::Empty,
            template_id = %self.template_id,
        );
        let (sender, outcome) = oneshot::channel();
        let core = Arc::clone(self.sessions.core());
        let creating = self.run_detached(request, sender).instrument(span);
        core.background.spawn(&Handle::current(), creating);
        outcome.await.unwrap_or_else(|_| {
            let message = "the Tokio runtime is shutting down";
            Err(Error::runtime("create a session", message))
        })
    }

    /// Returns the request, with the metadata by which the sandbox can be found later.
    fn new_sandbox(&self) -> Result<NewSandbox, Error> {
        check_name("template_id", &self.template_id)?;
        self.config.validate()?;
        let core = self.sessions.core();
        let config = self.config.clone();
        let timeout = config.timeout.unwrap_or(core.config.session_timeout);
        let mut metadata = config.metadata;
        metadata.insert(CREATE_KEY.to_owned(), idempotency_key());
        metadata.insert(TIMEOUT_KEY.to_owned(), timeout.as_secs().to_string());
        if let Some(port) = config.ports.first().filter(|port| **port != AGENT_PORT) {
            metadata.insert(PORT_KEY.to_owned(), port.to_string());
        }
        Ok(NewSandbox {
            auto_pause: config.auto_pause,
            env_vars: config.env_vars,
            metadata,
            secure: config.secure.or(Some(!core.endpoints.is_legacy())),
            allow_internet_access: config.allow_internet_access,
            volume_mounts: config.volume_mounts,
            ..NewSandbox::new(&self.template_id, timeout)
        })
    }

    /// Creates the sandbox, or fetches the one that an earlier call with this request created. Must
    /// not be cancelled: if the request was sent, its response names the sandbox to kill.
    async fn create_sandbox(&self, request: &NewSandbox) -> Result<SandboxSession, Error> {
        let platform = &self.sessions.core().platform;
        let key = request.metadata.get(CREATE_KEY).map_or("", String::as_str);
        let sandbox = platform.create_sandbox_once(request, key).await?;
        // From here on, dropping the session kills the sandbox.
        Ok(self.sessions.created(sandbox, request, &self.config))
    }

    /// Checks the size of the sandbox, and waits for its agent and ports.
    async fn prepare(
        &self,
        session: &SandboxSession,
        lookup: impl Future<Output = Result<StartCommand, Error>>,
    ) -> Result<(), Error> {
        if self.config.has_size() {
            self.config.check_size(&session.info().await?)?;
        }
        session.start_agent(lookup, self.config.start_timeout).await
    }

    /// Kills the sandbox of a failed creation, and returns the error of the creation.
    async fn undo(&self, session: SandboxSession, error: Error) -> Error {
        let sandbox_id = session.sandbox_id();
        tracing::debug!(sandbox_id, error = %error.report(), "killing the sandbox after a failure");
        if let Ok(Err(error)) = timeout(CLEANUP_TIMEOUT, session.close()).await {
            let error = error.report();
            tracing::warn!(%error, "cannot kill the sandbox of a failed creation yet");
        }
        error.while_creating(&self.template_id, Some(sandbox_id))
    }

    /// Creates the session and sends it to the caller. Runs as a task of its own: dropping the
    /// caller's future must not cancel a creation that the platform has begun.
    async fn run_detached(self, request: NewSandbox, mut caller: oneshot::Sender<Created>) {
        let core = self.sessions.core();
        let honours_keys = core.platform.honours_keys();
        let outcome = {
            let mut lookup = pin!(core.start_commands.find(&core.templates, &self.template_id));
            let mut creation = pin!(self.create_sandbox(&request));
            let mut found = None;
            // The creation and the lookup run concurrently, and a sandbox that exists does not wait
            // for the lookup.
            let created = loop {
                tokio::select! {
                    biased;
                    created = &mut creation => break created,
                    command = &mut lookup, if found.is_none() => found = Some(command),
                }
            };
            let created = match created {
                // The response to the lookup may be the first that announces that the platform
                // honours idempotency keys.
                Err(error) if may_exist(&error) && !honours_keys => {
                    if found.is_none() {
                        found = timeout(LOOKUP_TIMEOUT, lookup.as_mut()).await.ok();
                    }
                    if core.platform.honours_keys() {
                        self.create_sandbox(&request).await
                    } else {
                        Err(error)
                    }
                }
                created => created,
            };
            match created {
                Err(error) => {
                    kill_orphan(core, &request, &error);
                    Err(error.while_creating(&self.template_id, None))
                }
                Ok(session) => {
                    let lookup = async {
                        match found {
                            Some(command) => command,
                            None => lookup.await,
                        }
                    };
                    let prepared = tokio::select! {
                        prepared = self.prepare(&session, lookup) => prepared,
                        // The caller's future was dropped; dropping the session kills the sandbox.
                        () = caller.closed() => return,
                    };
                    match prepared {
                        Ok(()) => Ok(session),
                        Err(error) => Err(self.undo(session, error).await),
                    }
                }
            }
        };
        let span = Span::current();
        match &outcome {
            Ok(session) => span.record("session.id", session.sandbox_id()),
            Err(_) => span.record("otel.status_code", "ERROR"),
        };
        if outcome.is_err() {
            core.start_commands.remove(&self.template_id);
        }
        // If the caller's future was dropped meanwhile, this drops the session.
        drop(caller.send(outcome));
    }
}
