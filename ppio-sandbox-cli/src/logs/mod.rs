//! `agent logs`.

mod filter;
mod position;
mod session_log_line;

use std::cell::Cell;
use std::time::Duration;

use ppio_agent_client::Error;
use ppio_agent_client::platform::LogQuery;
use tokio::time::{Instant, sleep};

use self::filter::LineFilter;
use self::position::{LogGap, LogPosition};
use self::session_log_line::SessionLogLine;
use crate::arguments::{LineArguments, LogsArguments};
use crate::error::{CliError, ExitKind};
use crate::platform::deployed_agent::{self, DeployedAgent, newest_session};
use crate::platform::{Platform, PrintError};
use crate::terminal::{OutputFormat, Terminal};

/// The pause between two requests for new lines.
const POLL_INTERVAL: Duration = Duration::from_millis(300);
/// The time for which `--follow` retries when the platform does not answer.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum number of lines that one request returns.
const PAGE_LINES: u32 = 1000;
const OPEN_ONE: &str =
    "a log is deleted with its session; keep one open with `ppio-sandbox-cli agent invoke --keep`";

pub(crate) async fn run(arguments: LogsArguments, terminal: &Terminal) -> Result<(), CliError> {
    if let LineArguments {
        since: Some(since),
        until: Some(until),
        ..
    } = &arguments.lines
        && since > until
    {
        return Err(CliError::new(
            ExitKind::Usage,
            "--since is later than --until, so there are no lines between them",
        ));
    }
    let agent = match arguments.session {
        Some(_) => None,
        None => Some(DeployedAgent::select(&arguments.agent)?),
    };
    let platform = Platform::choose(&arguments.agent.platform)?;
    let session = match (&arguments.session, &agent) {
        (Some(id), _) => deployed_agent::session(id, &platform).await?.detach(),
        (None, Some(agent)) => {
            newest_session(agent, &platform, "showing", OPEN_ONE, terminal).await?
        }
        (None, None) => return Ok(()),
    };
    let log = SessionLog {
        session: &session,
        platform: &platform,
        filter: arguments.lines.into(),
        terminal,
        is_stuck: Cell::new(false),
    };
    let mut position = LogPosition::at(log.filter.start());
    if arguments.follow {
        log.follow(position).await
    } else {
        let printed = log.print(&mut position).await;
        printed.map_err(|error| log.error(error))
    }
}

/// The log of one session.
struct SessionLog<'a> {
    session: &'a str,
    platform: &'a Platform,
    filter: LineFilter,
    terminal: &'a Terminal,
    /// Whether it was reported that the platform returns the same lines again.
    is_stuck: Cell<bool>,
}

impl SessionLog<'_> {
    /// Prints new lines until the session ends. Retries for [`RECONNECT_TIMEOUT`].
    async fn follow(&self, mut position: LogPosition) -> Result<(), CliError> {
        let mut silent_since: Option<Instant> = None;
        loop {
            match self.print(&mut position).await {
                Ok(()) => {
                    if silent_since.take().is_some() {
                        self.terminal.note("reconnected");
                    }
                }
                Err(PrintError::Client(Error::SessionNotFound { .. })) => {
                    self.terminal.note("the session has ended");
                    return Ok(());
                }
                Err(PrintError::Client(error)) if is_transient(&error) => {
                    if self.platform.has_ended() {
                        return Err(CliError::new(
                            ExitKind::Platform,
                            "the local platform was stopped, and the session with it",
                        ));
                    }
                    let since = *silent_since.get_or_insert_with(|| {
                        self.terminal.note("connection lost, reconnecting");
                        Instant::now()
                    });
                    if since.elapsed() > RECONNECT_TIMEOUT {
                        return Err(self.error(PrintError::Client(error)));
                    }
                }
                Err(error) => return Err(self.error(error)),
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Prints the selected lines after `position`, and moves `position` past them.
    async fn print(&self, position: &mut LogPosition) -> Result<(), PrintError> {
        loop {
            let query = LogQuery {
                start: position.milliseconds(),
                limit: Some(PAGE_LINES),
                search: self.filter.search().map(str::to_owned),
                ..LogQuery::default()
            };
            let control_plane = self.platform.client().platform();
            let entries = control_plane
                .sandbox_logs(self.session, &query)
                .await
                .map_err(PrintError::Client)?;
            let is_full = entries.len() >= PAGE_LINES as usize;
            let new = position.advance(entries, is_full);
            match new.gap {
                Some(LogGap::FullMillisecond) => self.terminal.warn(&format!(
                    "the platform does not return more than {PAGE_LINES} lines of one millisecond; \
                     further ones are missing"
                )),
                Some(LogGap::NotAdvancing) => {
                    if !self.is_stuck.replace(true) {
                        self.terminal.warn(&format!(
                            "the platform returns the same {PAGE_LINES} lines again; later ones \
                             may be missing"
                        ));
                    }
                    return Ok(());
                }
                None => {}
            }
            for record in new.entries.into_iter().map(SessionLogLine::from) {
                if self.filter.is_past(&record) {
                    return Ok(());
                }
                if self.filter.selects(&record) {
                    self.print_record(&record)?;
                }
            }
            if !is_full {
                return Ok(());
            }
        }
    }

    fn print_record(&self, record: &SessionLogLine) -> Result<(), CliError> {
        match self.terminal.format() {
            OutputFormat::Text => match record.formatted() {
                Some(mut formatted) => {
                    formatted.push("\n");
                    self.terminal.write_styled(&formatted)
                }
                None => self.terminal.write_text(&format!("{}\n", record.text())),
            },
            OutputFormat::Json => self.terminal.write_json(&record.to_json(self.session)),
        }
    }

    fn error(&self, error: PrintError) -> CliError {
        match error {
            PrintError::Output(error) => error,
            PrintError::Client(error) => {
                let message = format!("cannot read the log of session {}", self.session);
                self.platform.error(message, &error)
            }
        }
    }
}

/// Whether a retry may succeed.
fn is_transient(error: &Error) -> bool {
    match error.root() {
        Error::Network { .. } | Error::Timeout { .. } | Error::RateLimit { .. } => true,
        other => other.status().is_some_and(|status| status >= 500),
    }
}
