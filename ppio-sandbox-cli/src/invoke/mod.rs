//! `agent invoke`.

mod answer;
mod new_session;
mod request;

use std::time::{Duration, Instant};

use ppio_agent_client::platform::SandboxState;
use ppio_agent_client::{Error, NetworkErrorKind, SandboxSession};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use self::answer::{Outcome, Stopped};
use crate::arguments::InvokeArguments;
use crate::error::{Failure, Fault};
use crate::platform::Platform;
use crate::platform::deployed_agent::{self as target, Target};
use crate::signals::unless_interrupted;
use crate::terminal::{Progress, Terminal};

/// A new session lives at least this long: long enough for another call in a kept one.
const SHORTEST_LIFE: Duration = Duration::from_secs(300);
/// How much longer a session lives than its call may take.
const MARGIN: Duration = Duration::from_secs(60);
/// How long it may take to end a session that nobody needs any more.
const CLEAN_UP: Duration = Duration::from_secs(15);
/// How long nothing is said about that.
const SILENCE: Duration = Duration::from_millis(500);

pub(crate) async fn run(arguments: InvokeArguments, terminal: &Terminal) -> Result<(), Failure> {
    let request = unless_interrupted(request::read(&arguments)).await?;
    // Which agent is of no interest in a session that exists.
    let target = match &arguments.session {
        Some(_) => None,
        None => Some(Target::of(&arguments.agent)?),
    };
    let platform = Platform::choose(&arguments.agent.platform)?;
    let call = Call {
        arguments: &arguments,
        target,
        platform: &platform,
        terminal,
    };
    let within = async {
        timeout(arguments.timeout, call.make(request))
            .await
            .unwrap_or_else(|_| {
                let what = format!("no whole answer within {} s", arguments.timeout.as_secs());
                Err(Failure::new(Fault::Agent, what).next("`--timeout SECONDS` allows more time"))
            })
    };
    // Holds a whole call, too large to be moved about.
    let outcome = unless_interrupted(Box::pin(within)).await;
    // However it ended: a session that was made for this call ends with it.
    let closed = unless_interrupted(close(&platform, terminal)).await;
    outcome.and(closed)
}

/// Ends what was made and not kept, and waits for what goes on in the background.
async fn close(platform: &Platform, terminal: &Terminal) -> Result<(), Failure> {
    let closing = timeout(CLEAN_UP, platform.client().close());
    let mut closing = std::pin::pin!(closing);
    let closed = tokio::select! {
        closed = &mut closing => closed,
        () = sleep(SILENCE) => {
            terminal.note("closing the session, Ctrl-C again leaves it to its time");
            closing.await
        }
    };
    let problem = match closed {
        Ok(Ok(())) => return Ok(()),
        // A platform that has ended has ended its sandboxes.
        _ if platform.has_ended() => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", CLEAN_UP.as_secs()),
    };
    terminal.warn(&format!(
        "the session could not be closed, it lives until its time is up: {problem}"
    ));
    Ok(())
}

/// One invocation, with all that it needs.
struct Call<'a> {
    arguments: &'a InvokeArguments,
    /// `None` in a session that exists.
    target: Option<Target>,
    platform: &'a Platform,
    terminal: &'a Terminal,
}

impl Call<'_> {
    async fn make(&self, request: Value) -> Result<(), Failure> {
        let progress = self.terminal.spinner("starting a session");
        let session = match &self.target {
            Some(target) => {
                let lifetime = SHORTEST_LIFE.max(self.arguments.timeout.saturating_add(MARGIN));
                new_session::session(target, self.platform, lifetime).await?
            }
            None => self.existing_session(&progress).await?,
        };
        progress.tell("waiting for the answer");
        let asked = Instant::now();
        let answer = session
            .invoke_auto(request)
            .timeout(self.arguments.timeout)
            .await;
        drop(progress);
        let outcome = Outcome {
            items: None,
            session_id: session.sandbox_id().to_owned(),
            request_id: String::new(),
            duration: 0.0,
            kept: self.target.is_none() || self.arguments.keep,
            first_item: None,
        };
        let printed = match answer {
            Ok(answer) => answer::print(answer, asked, outcome, self.terminal).await,
            Err(error) => Err(Stopped::ByError(error)),
        };
        match printed {
            Ok(outcome) => {
                let place = self.platform.short_name();
                self.terminal.note(&outcome.summary(&place));
                self.keep(session);
                Ok(())
            }
            Err(Stopped::ByReader(failure)) => Err(failure),
            Err(Stopped::ByError(error)) => {
                let failure = self.failure(&error).await;
                let failure = failure.fact("session_id", session.sandbox_id());
                // What happened can be looked at in a session that was to be kept.
                let kept = self.keep(session);
                Err(match (&failure.next, kept) {
                    (None, true) => failure.next("`ppio-sandbox-cli agent logs --session ID` shows what the agent wrote"),
                    (None, false) => failure.next("`--keep` leaves the session open, and `agent logs` shows what the agent wrote"),
                    (Some(_), _) => failure,
                })
            }
        }
    }

    /// The session that was named, with a whole life before it.
    async fn existing_session(&self, progress: &Progress) -> Result<SandboxSession, Failure> {
        let id = self.arguments.session.as_deref().unwrap_or_default();
        let session = target::session(id, self.platform).await?;
        let failed = |error: Error| {
            self.platform
                .failure(format!("cannot use session {id}"), &error)
        };
        if session.info().await.map_err(failed)?.state == SandboxState::Paused {
            progress.aside(|| self.terminal.note("the session is paused, resuming it"));
            session.resume().await.map_err(failed)?;
        } else {
            session.refresh().await.map_err(failed)?;
        }
        Ok(session)
    }

    /// Lets the session live on where that was asked for; tells whether it lives on.
    fn keep(&self, session: SandboxSession) -> bool {
        if self.target.is_none() {
            return true;
        }
        if !self.arguments.keep {
            return false;
        }
        let seconds = session.timeout().as_secs();
        let id = session.detach();
        self.terminal.note(&format!(
            "session {id} stays open for {seconds} s, go on with `agent invoke --session {id}`"
        ));
        true
    }

    async fn failure(&self, error: &Error) -> Failure {
        let what = match error {
            Error::Invocation { .. } => "the agent failed",
            Error::StreamIdle { .. } => "the agent fell silent",
            Error::Network { source, .. } if source.kind() == NetworkErrorKind::Cut => {
                "the agent's answer broke off"
            }
            Error::Network { source, .. } if source.kind() == NetworkErrorKind::Interrupted => {
                "no answer came from the agent"
            }
            _ => "cannot call the agent",
        };
        let mut failure = self.platform.failure(what, error);
        // A connection breaks when the agent crashes or when the platform does. The platform knows.
        let broke = matches!(error, Error::Network { source, .. } if source.may_have_arrived());
        if broke && self.platform.client().list_sessions().await.is_ok() {
            failure.fault = Fault::Agent;
        }
        failure
    }
}
