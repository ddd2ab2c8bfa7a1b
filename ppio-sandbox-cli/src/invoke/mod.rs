//! `agent invoke`.
//!
//! `request` reads the request, `new_session` opens a session unless one is named, `protocol` calls
//! the agent by a protocol other than `POST /invocations`, and `answer` prints what the agent
//! sends.

pub(crate) mod answer;
mod new_session;
mod protocol;
mod request;

use std::time::{Duration, Instant};

use ppio_agent_client::http::{HeaderName, HeaderValue};
use ppio_agent_client::{
    Error, InvocationOutput, Invoke, NetworkErrorKind, Run, RunStatus, SandboxSession,
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use self::answer::InvocationSummary;
use self::protocol::ProtocolCall;
use crate::arguments::InvokeArguments;
use crate::error::{CliError, ExitKind};
use crate::platform::deployed_agent::{self, DeployedAgent};
use crate::platform::{Platform, PrintError, session_of_run};
use crate::signals::or_interrupted;
use crate::terminal::{ProgressLine, Terminal};

/// The shortest lifetime of a new session, long enough for another call with `--keep`.
const MIN_LIFETIME: Duration = Duration::from_secs(300);
/// The time by which the lifetime of a new session exceeds the timeout of its call.
const LIFETIME_MARGIN: Duration = Duration::from_secs(60);
/// The longest time that closing the session may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(15);
/// The time after which it is reported that the session is still being closed.
const CLOSE_NOTE_DELAY: Duration = Duration::from_millis(500);

pub(crate) async fn run(arguments: InvokeArguments, terminal: &Terminal) -> Result<(), CliError> {
    let headers = arguments.headers.parse()?;
    let request = or_interrupted(request::read(&arguments)).await?;
    let request = match arguments.protocol {
        None => InvokeRequest::Invocation(request),
        Some(protocol) => InvokeRequest::Protocol(ProtocolCall::new(protocol, request)?),
    };
    let agent = match &arguments.session {
        Some(_) => None,
        None => Some(DeployedAgent::select(&arguments.agent)?),
    };
    let platform = Platform::choose(&arguments.agent.platform)?;
    let command = InvokeCommand {
        arguments: &arguments,
        headers,
        agent,
        platform: &platform,
        terminal,
    };
    let invocation = async {
        timeout(arguments.timeout, command.invoke(request))
            .await
            .unwrap_or_else(|_| {
                let seconds = arguments.timeout.as_secs();
                let message = format!("no complete answer within {seconds} s");
                Err(CliError::new(ExitKind::Agent, message)
                    .help("allow more time with `--timeout SECONDS`"))
            })
    };
    // Boxed: the future holds a whole invocation.
    let outcome = or_interrupted(Box::pin(invocation)).await;
    // A new session that is not kept is closed, whether or not the call succeeded.
    let closed = or_interrupted(close_sessions(&platform, terminal)).await;
    outcome.and(closed)
}

/// Closes the sessions that are not kept, and waits for the client's background tasks. A failure is
/// only a warning.
async fn close_sessions(platform: &Platform, terminal: &Terminal) -> Result<(), CliError> {
    let closing = timeout(CLOSE_TIMEOUT, platform.client().close());
    let mut closing = std::pin::pin!(closing);
    let closed = tokio::select! {
        closed = &mut closing => closed,
        () = sleep(CLOSE_NOTE_DELAY) => {
            terminal.note("closing the session; Ctrl-C again leaves it open until its timeout");
            closing.await
        }
    };
    let cause = match closed {
        Ok(Ok(())) => return Ok(()),
        // The sandboxes have ended with the platform.
        _ if platform.has_ended() => return Ok(()),
        Ok(Err(error)) => error.report().to_string(),
        Err(_) => format!("no answer within {} s", CLOSE_TIMEOUT.as_secs()),
    };
    terminal.warn(&format!(
        "the session could not be closed and stays open until its timeout: {cause}"
    ));
    Ok(())
}

/// The request to the agent: the body for `POST /invocations`, or a call by another protocol.
enum InvokeRequest {
    Invocation(Value),
    Protocol(ProtocolCall),
}

struct InvokeCommand<'a> {
    arguments: &'a InvokeArguments,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// `None` for a call in an existing session.
    agent: Option<DeployedAgent>,
    platform: &'a Platform,
    terminal: &'a Terminal,
}

impl InvokeCommand<'_> {
    async fn invoke(&self, request: InvokeRequest) -> Result<(), CliError> {
        let progress = self.terminal.spinner("starting a session");
        let session = match &self.agent {
            Some(agent) => {
                let lifetime = self.arguments.timeout.saturating_add(LIFETIME_MARGIN);
                new_session::create(agent, self.platform, lifetime.max(MIN_LIFETIME)).await?
            }
            None => self.existing_session(&progress).await?,
        };
        progress.set_message("waiting for the answer");
        if let (true, InvokeRequest::Invocation(request)) = (self.arguments.detach, &request) {
            let run = self.call(&session, request).detach().await;
            drop(progress);
            return match run {
                Ok(run) => {
                    self.report_run(&run);
                    self.keep(session);
                    Ok(())
                }
                Err(error) => Err(self.failed(&error, session).await),
            };
        }
        let sent = Instant::now();
        let answer = self.send(&session, &request).await;
        drop(progress);
        let reader = match &request {
            InvokeRequest::Invocation(_) => None,
            InvokeRequest::Protocol(call) => Some(call.reader()),
        };
        let summary = InvocationSummary {
            items: None,
            session_id: session.sandbox_id().to_owned(),
            request_id: String::new(),
            duration: 0.0,
            kept: self.stays_open(),
            first_item: None,
        };
        let printed = match answer {
            Ok(answer) => answer::print(answer, sent, summary, reader, self.terminal).await,
            Err(error) => Err(error),
        };
        match printed {
            Ok(summary) => {
                let platform = self.platform.short_name();
                self.terminal.note(&summary.text(&platform));
                self.keep(session);
                Ok(())
            }
            Err(PrintError::Output(error)) => Err(error),
            Err(PrintError::Client(error)) => Err(self.failed(&error, session).await),
        }
    }

    async fn send(
        &self,
        session: &SandboxSession,
        request: &InvokeRequest,
    ) -> Result<InvocationOutput, PrintError> {
        match request {
            InvokeRequest::Invocation(request) => {
                let output = self.call(session, request).output().await;
                output.map_err(PrintError::Client)
            }
            InvokeRequest::Protocol(call) => {
                let timeout = self.arguments.timeout;
                call.send(session, &self.headers, timeout).await
            }
        }
    }

    fn call(&self, session: &SandboxSession, request: &Value) -> Invoke {
        let call = session.invoke(request).timeout(self.arguments.timeout);
        self.headers
            .iter()
            .fold(call, |call, (name, value)| call.header(name, value.clone()))
    }

    /// Returns the error of a call, with the help for it. A session with `--keep` stays open, so
    /// that its log can be read.
    async fn failed(&self, error: &Error, session: SandboxSession) -> CliError {
        let error = self.error(error).await;
        let error = error.field("session_id", session.sandbox_id());
        let kept = self.arguments.keep || self.agent.is_none();
        if kept {
            self.keep(session);
        }
        match (&error.help, kept) {
            (None, true) => error
                .help("read the agent's output with `ppio-sandbox-cli agent logs --session ID`"),
            (None, false) => error.help(
                "to read the agent's output with `agent logs`, keep the session open with `--keep`",
            ),
            (Some(_), _) => error,
        }
    }

    /// Prints the id of a run that continues.
    fn report_run(&self, run: &Run) {
        let (run_id, session_id) = (run.id(), run.session().sandbox_id());
        let document = json!({
            "run_id": run_id,
            "session_id": session_id,
            "status": RunStatus::Running,
        });
        self.terminal.result(&document, || run_id.to_owned());
        self.terminal.note(&format!(
            "read the answer with `ppio-sandbox-cli agent attach \
             {run_id} --session {session_id}{}`",
            session_of_run::same_headers(&self.arguments.headers)
        ));
    }

    /// Returns the session of `--session`, resumed or with its lifetime extended.
    async fn existing_session(&self, progress: &ProgressLine) -> Result<SandboxSession, CliError> {
        let id = self.arguments.session.as_deref().unwrap_or_default();
        let note = || self.terminal.note("the session is paused, resuming it");
        deployed_agent::usable_session(id, self.platform, || progress.suspend(note)).await
    }

    /// Whether the session stays open after a call that succeeds.
    fn stays_open(&self) -> bool {
        self.agent.is_none() || self.arguments.keep || self.arguments.detach
    }

    /// Detaches a new session that stays open.
    fn keep(&self, session: SandboxSession) {
        if self.agent.is_none() || !self.stays_open() {
            return;
        }
        let seconds = session.timeout().as_secs();
        let id = session.detach();
        self.terminal.note(&format!(
            "session {id} stays open for {seconds} s; call it again with \
             `agent invoke --session {id}`"
        ));
    }

    async fn error(&self, error: &Error) -> CliError {
        let protocol = self.arguments.protocol;
        if let Some(error) = protocol.and_then(|protocol| protocol::not_served(protocol, error)) {
            return error;
        }
        let message = match error {
            Error::Invocation { .. } => "the agent failed",
            Error::StreamIdle { .. } => "the agent's stream has stalled",
            Error::Network { source, .. } if source.kind() == NetworkErrorKind::Cut => {
                "the agent's answer was cut off"
            }
            Error::Network { source, .. } if source.kind() == NetworkErrorKind::Interrupted => {
                "the agent sent no answer"
            }
            _ => "cannot call the agent",
        };
        let mut converted = self.platform.agent_error(message, error);
        // The agent or the platform has crashed: the agent, if the platform still answers.
        let broke = matches!(error, Error::Network { source, .. } if source.may_have_arrived());
        if broke && self.platform.client().list_sessions().await.is_ok() {
            converted.kind = ExitKind::Agent;
        }
        converted
    }
}
