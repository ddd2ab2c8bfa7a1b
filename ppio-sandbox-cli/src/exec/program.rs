//! A program in a session's sandbox, and the standard streams of this process connected to it.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use ppio_agent_client::platform::{
    Command, Envd, ProcessEvent, ProcessEvents, ProcessSelector, Signal,
};
use ppio_agent_client::{Error, SandboxSession};
use tokio::signal::unix::{SignalKind, signal};

use super::exit_code::{exit_code, start_failure};
use super::raw_terminal::{self, RawTerminal};
use super::screen_modes::ScreenModes;
use super::standard_streams;
use crate::error::{CliError, ExitKind};
use crate::platform::Platform;
use crate::terminal::output_error;

/// The character that ends the input of a terminal.
const END_OF_INPUT: &[u8] = b"\x04";
/// The longest time that sending a signal to a disconnected program may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time that the reset of the screen may take.
const RESTORE_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest time that the lookup of a session may take after the connection to it was lost.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running program.
#[derive(Debug)]
pub(super) struct Program {
    platform: Platform,
    session: SandboxSession,
    envd: Envd,
    process: ProcessSelector,
    has_terminal: bool,
    events: ProcessEvents,
    modes: ScreenModes,
}

impl Program {
    pub(super) async fn start(
        command: &Command,
        session: SandboxSession,
        user: Option<&str>,
        platform: Platform,
    ) -> Result<Self, CliError> {
        let mut envd = session.envd();
        if let Some(user) = user {
            envd = envd.with_user(user);
        }
        match started(&envd, command).await {
            Ok((events, pid)) => Ok(Self {
                platform,
                session,
                envd,
                process: ProcessSelector::Pid(pid),
                has_terminal: command.terminal.is_some(),
                events,
                modes: ScreenModes::default(),
            }),
            Err(error) => {
                let id = session.sandbox_id();
                let message = format!("cannot start {:?} in session {id}", command.cmd);
                let mut converted = platform.error(message, &error);
                if let Some(kind) = start_failure(&error) {
                    converted.kind = kind;
                    converted = converted.help("name a program of the sandbox, or its path");
                }
                Err(converted)
            }
        }
    }

    /// Forwards input, output and the terminal's size, and keeps the session open, until the
    /// program ends. Returns the program's exit code.
    pub(super) async fn connect_streams(&mut self) -> Result<u8, CliError> {
        let local = (self.has_terminal && io::IsTerminal::is_terminal(&io::stdin()))
            .then(|| RawTerminal::enter(io::stdin()))
            .transpose()
            .map_err(|error| CliError::system("cannot change the modes of the terminal", error))?;
        let Self {
            platform,
            session,
            envd,
            process,
            has_terminal,
            events,
            modes,
        } = self;
        let program = ProgramStreams {
            session,
            envd,
            process,
            has_terminal: *has_terminal,
        };
        let outcome = tokio::select! {
            // Output is polled first: everything that the program wrote before its end is printed.
            biased;
            ended = print_output(events, modes) => ended,
            Err(error) = program.send_input() => Err(error),
            Err(error) = program.follow_terminal(local.as_ref()) => Err(error),
            never = program.keep_session_open() => match never {},
        };
        drop(local);
        match outcome {
            Ok(code) => Ok(code),
            Err(DisconnectReason::Local(error)) => Err(error),
            Err(DisconnectReason::Lost(error)) => Err(lost(platform, session, &error).await),
        }
    }

    /// Resets the screen modes that the program left set when it was disconnected.
    pub(super) async fn restore_screen(&mut self) {
        let reset = self.modes.reset();
        if self.has_terminal && !reset.is_empty() {
            let printed = standard_streams::print(reset.into_bytes());
            // Output may be stopped or closed.
            let _ = tokio::time::timeout(RESTORE_TIMEOUT, printed).await;
        }
    }

    /// Sends SIGKILL to a program in a terminal, and SIGTERM to other programs, after the streams
    /// were disconnected.
    pub(super) async fn stop(&self) {
        // An interactive shell ignores SIGTERM. When the shell is killed, the kernel sends SIGHUP
        // to the foreground programs of its terminal, as when a terminal is closed.
        let signal = if self.has_terminal {
            Signal::Kill
        } else {
            Signal::Term
        };
        let sent = self.envd.send_signal(&self.process, signal);
        // The program may have ended.
        let _ = tokio::time::timeout(STOP_TIMEOUT, sent).await;
    }
}

async fn started(envd: &Envd, command: &Command) -> Result<(ProcessEvents, u32), Error> {
    let mut events = envd.start(command).await?;
    loop {
        match events.next().await? {
            Some(ProcessEvent::Started { pid }) => return Ok((events, pid)),
            Some(_) => {}
            None => {
                return Err(cut_short("start a process in"));
            }
        }
    }
}

/// Returns the error of an event stream that ends without the expected event.
fn cut_short(operation: &str) -> Error {
    Error::Protocol {
        operation: operation.to_owned(),
        message: "the events of the process ended too early".to_owned(),
    }
}

/// The reason why the streams of a program were disconnected.
#[derive(Debug)]
enum DisconnectReason {
    /// This process cannot use its standard streams or its terminal, or has received SIGQUIT.
    Local(CliError),
    /// The platform failed, or the connection to it was lost.
    Lost(Error),
}

/// The state that the tasks of the streams share.
struct ProgramStreams<'a> {
    session: &'a SandboxSession,
    envd: &'a Envd,
    process: &'a ProcessSelector,
    has_terminal: bool,
}

impl ProgramStreams<'_> {
    /// Sends standard input up to its end, then waits forever. Returns only errors.
    async fn send_input(&self) -> Result<Infallible, DisconnectReason> {
        // A program may read its input late.
        let envd = self.envd.clone().with_timeout(Duration::MAX);
        let mut input = standard_streams::input();
        loop {
            let chunk = input.recv().await.transpose().map_err(|error| {
                DisconnectReason::Local(CliError::system("cannot read standard input", error))
            })?;
            let sent = match (&chunk, self.has_terminal) {
                (Some(chunk), false) => envd.send_stdin(self.process, chunk).await,
                (Some(chunk), true) => envd.send_terminal(self.process, chunk).await,
                (None, false) => envd.close_stdin(self.process).await,
                (None, true) => envd.send_terminal(self.process, END_OF_INPUT).await,
            };
            match sent {
                Ok(()) if chunk.is_some() => {}
                Ok(()) => break,
                // The program has ended or closed its input, or an old daemon cannot close it.
                Err(error) if matches!(error.root().status(), Some(400 | 404 | 501)) => break,
                Err(error) => return Err(DisconnectReason::Lost(error)),
            }
        }
        std::future::pending().await
    }

    /// Forwards changes of the terminal's size, and sets raw mode again on SIGCONT. Returns only
    /// errors; SIGQUIT counts as an error. Waits forever if there is no terminal in raw mode.
    async fn follow_terminal(
        &self,
        local: Option<&RawTerminal<io::Stdin>>,
    ) -> Result<Infallible, DisconnectReason> {
        let Some(local) = local else {
            return std::future::pending().await;
        };
        let failed = |error| {
            DisconnectReason::Local(CliError::system("cannot install signal handlers", error))
        };
        let open = |kind| signal(kind).map_err(failed);
        let mut resized = open(SignalKind::window_change())?;
        let continued = SignalKind::from_raw(rustix::process::Signal::CONT.as_raw());
        let mut continued = open(continued)?;
        let mut quit = open(SignalKind::quit())?;
        // The terminal may have been resized since the program was started.
        loop {
            let size = raw_terminal::size(io::stdout());
            // Fails if the program has ended.
            let _ = self.envd.resize_terminal(self.process, size).await;
            tokio::select! {
                _ = resized.recv() => {}
                _ = continued.recv() => {
                    // Fails when the terminal is gone.
                    let _ = local.enter_again();
                }
                _ = quit.recv() => {
                    let error = CliError::new(ExitKind::Terminated, "interrupted");
                    return Err(DisconnectReason::Local(error));
                }
            }
        }
    }

    /// Extends the session's lifetime repeatedly.
    async fn keep_session_open(&self) -> Infallible {
        let interval = self.session.timeout() / 3;
        loop {
            tokio::time::sleep(interval.max(Duration::from_secs(1))).await;
            // A lost connection is reported by the stream of the output.
            let _ = self.session.refresh().await;
        }
    }
}

/// Prints the output until the program ends. Returns the program's exit code.
async fn print_output(
    events: &mut ProcessEvents,
    modes: &mut ScreenModes,
) -> Result<u8, DisconnectReason> {
    loop {
        match events.next().await.map_err(DisconnectReason::Lost)? {
            Some(ProcessEvent::Stdout(bytes)) => {
                modes.read(&bytes);
                let printed = standard_streams::print(bytes).await;
                printed.map_err(|error| DisconnectReason::Local(output_error(error)))?;
            }
            // A closed standard error is not an error.
            Some(ProcessEvent::Stderr(bytes)) => {
                let _ = standard_streams::print_error(bytes).await;
            }
            Some(ProcessEvent::Ended(status)) => return Ok(exit_code(&status)),
            Some(_) => {}
            None => {
                let error = cut_short("read the output of a process in");
                return Err(DisconnectReason::Lost(error));
            }
        }
    }
}

/// Returns the error of a lost connection, which states whether the session or the local platform
/// has ended.
async fn lost(platform: &Platform, session: &SandboxSession, error: &Error) -> CliError {
    let id = session.sandbox_id();
    if platform.has_ended() {
        let message = "the local platform was stopped, and the session with it";
        let help = "start the platform with `ppio-sandbox-cli local up`, and the command again";
        return CliError::new(ExitKind::Platform, message).help(help);
    }
    let session = platform.client().get_session(id);
    if let Ok(Ok(None)) = tokio::time::timeout(LOOK_UP_TIMEOUT, session).await {
        let message = format!("session {id} has ended, and the program with it");
        let help = "invoke the agent, and run the command in the new session";
        return CliError::new(ExitKind::Platform, message).help(help);
    }
    let message = format!("the connection to session {id} was lost");
    let mut converted = platform.error(message, error);
    converted.kind = ExitKind::Platform;
    converted.help(format!(
        "the program may still run in the session: list the processes with \
         `ppio-sandbox-cli agent exec {id} -- ps`"
    ))
}
