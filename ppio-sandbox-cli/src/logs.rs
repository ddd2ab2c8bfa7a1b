//! `agent logs`.

use std::time::Duration;

use ppio_agent_client::Error;
use ppio_agent_client::platform::{LogEntry, LogQuery};
use tokio::time::{Instant, sleep};

use crate::arguments::LogsArguments;
use crate::error::{CliError, ExitKind};
use crate::platform::deployed_agent::{self as target, DeployedAgent, sandboxes_of};
use crate::platform::{Platform, PrintError};
use crate::terminal::log_line;
use crate::terminal::{OutputFormat, Terminal};

/// The pause between two requests for new lines.
const POLL_INTERVAL: Duration = Duration::from_millis(300);
/// How long `--follow` retries when the platform does not answer.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// The number of lines in a request.
const PAGE_LINES: u32 = 1000;

pub(crate) async fn run(arguments: LogsArguments, terminal: &Terminal) -> Result<(), CliError> {
    let target = match &arguments.session {
        Some(_) => None,
        None => Some(DeployedAgent::select(&arguments.agent)?),
    };
    let platform = Platform::choose(&arguments.agent.platform)?;
    let session = match (&arguments.session, &target) {
        (Some(id), _) => target::session(id, &platform).await?.detach(),
        (None, Some(target)) => newest_session(target, &platform, terminal).await?,
        (None, None) => return Ok(()),
    };
    let log = SessionLog {
        session: &session,
        platform: &platform,
        terminal,
    };
    if arguments.follow {
        log.follow().await
    } else {
        let printed = log.print(&mut LogPosition::default()).await;
        printed.map_err(|error| log.error(error))
    }
}

async fn newest_session(
    target: &DeployedAgent,
    platform: &Platform,
    terminal: &Terminal,
) -> Result<String, CliError> {
    let template = target.find(platform).await?;
    let mut sandboxes = sandboxes_of(&template, platform).await?;
    let newest = sandboxes.pop().ok_or_else(|| {
        CliError::new(
            ExitKind::Platform,
            format!("{} has no open session", template.name),
        )
        .help("a log is deleted with its session; keep one open with `ppio-sandbox-cli agent invoke --keep`")
    })?;
    if !sandboxes.is_empty() {
        terminal.note(&format!(
            "{} sessions are open; showing the newest, {}",
            sandboxes.len() + 1,
            newest.sandbox_id
        ));
    }
    Ok(newest.sandbox_id)
}

/// The log of one session.
struct SessionLog<'a> {
    session: &'a str,
    platform: &'a Platform,
    terminal: &'a Terminal,
}

impl SessionLog<'_> {
    /// Prints new lines until the session ends. Retries for [`RECONNECT_TIMEOUT`].
    async fn follow(&self) -> Result<(), CliError> {
        let mut position = LogPosition::default();
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

    /// Prints the lines that were not printed yet.
    async fn print(&self, position: &mut LogPosition) -> Result<(), PrintError> {
        loop {
            let query = LogQuery {
                start: position.milliseconds,
                limit: Some(PAGE_LINES),
                ..LogQuery::default()
            };
            let control_plane = self.platform.client().platform();
            let entries = control_plane
                .sandbox_logs(self.session, &query)
                .await
                .map_err(PrintError::Client)?;
            let is_full = entries.len() >= PAGE_LINES as usize;
            for entry in position.unprinted(entries) {
                self.print_entry(&entry).map_err(PrintError::Output)?;
            }
            if !is_full {
                return Ok(());
            }
        }
    }

    fn print_entry(&self, entry: &LogEntry) -> Result<(), CliError> {
        match self.terminal.format() {
            OutputFormat::Text => match log_line::formatted(&entry.message) {
                Some(mut formatted) => {
                    formatted.push("\n");
                    self.terminal.write_styled(&formatted)
                }
                None => self.terminal.write_text(&format!("{}\n", entry.message)),
            },
            OutputFormat::Json => self.terminal.write_json(&serde_json::json!({
                "timestamp": entry.timestamp,
                "level": entry.level,
                "message": entry.message,
                "fields": entry.fields,
            })),
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

/// The end of what was printed. Requests start at a millisecond, which may have several lines.
#[derive(Debug, Default)]
struct LogPosition {
    /// The time of the last line, since the Unix epoch.
    milliseconds: Option<i64>,
    /// The number of printed lines of that millisecond.
    printed: usize,
}

impl LogPosition {
    /// Removes the entries that were printed before.
    fn unprinted(&mut self, entries: Vec<LogEntry>) -> Vec<LogEntry> {
        let is_full = entries.len() >= PAGE_LINES as usize;
        let mut new = Vec::new();
        let mut seen = 0;
        for entry in entries {
            let milliseconds = milliseconds(&entry.timestamp).or(self.milliseconds);
            if milliseconds == self.milliseconds {
                seen += 1;
                if seen <= self.printed {
                    continue;
                }
            } else {
                self.milliseconds = milliseconds;
                seen = 1;
            }
            self.printed = seen;
            new.push(entry);
        }
        if new.is_empty() && is_full {
            // A millisecond with more lines than an answer holds: skips the rest of them.
            self.milliseconds = self.milliseconds.map(|last| last + 1);
            self.printed = 0;
        }
        new
    }
}

fn milliseconds(timestamp: &str) -> Option<i64> {
    let time = humantime::parse_rfc3339_weak(timestamp).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(timestamp: &str, message: &str) -> LogEntry {
        let entry =
            serde_json::json!({"timestamp": timestamp, "level": "info", "message": message});
        serde_json::from_value(entry).expect("a log entry")
    }

    fn messages(entries: Vec<LogEntry>) -> Vec<String> {
        entries.into_iter().map(|entry| entry.message).collect()
    }

    #[test]
    fn lines_of_one_millisecond_are_printed_once() {
        let at =
            |time: &str, message: &str| entry(&format!("2026-01-01T00:00:00.{time}Z"), message);
        let mut position = LogPosition::default();
        let first = vec![at("001000", "a"), at("002100", "b"), at("002200", "c")];
        assert_eq!(messages(position.unprinted(first)), ["a", "b", "c"]);
        // The next request starts at the last millisecond.
        let second = vec![
            at("002100", "b"),
            at("002200", "c"),
            at("002900", "d"),
            at("003", "e"),
        ];
        assert_eq!(messages(position.unprinted(second)), ["d", "e"]);
        assert_eq!(messages(position.unprinted(vec![at("003", "e")])), [""; 0]);
        assert_eq!(
            messages(position.unprinted(vec![at("003", "e"), at("003", "e")])),
            ["e"]
        );
    }
}
