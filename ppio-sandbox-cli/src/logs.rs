//! `agent logs`.

use std::time::Duration;

use ppio_agent_client::Error;
use ppio_agent_client::platform::{LogEntry, LogQuery};
use tokio::time::{Instant, sleep};

use crate::arguments::LogsArguments;
use crate::error::{Failure, Fault};
use crate::platform::Platform;
use crate::platform::deployed_agent::{self as target, Target, sandboxes_of};
use crate::terminal::log_line;
use crate::terminal::{Format, Terminal};

/// Between two looks for new lines.
const POLL: Duration = Duration::from_millis(300);
/// How long a platform may not answer before following ends.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many lines are asked for at once.
const PAGE: u32 = 1000;

pub(crate) async fn run(arguments: LogsArguments, terminal: &Terminal) -> Result<(), Failure> {
    let target = match &arguments.session {
        Some(_) => None,
        None => Some(Target::of(&arguments.agent)?),
    };
    let platform = Platform::choose(&arguments.agent.platform)?;
    let session = match (&arguments.session, &target) {
        (Some(id), _) => target::session(id, &platform).await?.detach(),
        (None, Some(target)) => newest_session(target, &platform, terminal).await?,
        (None, None) => return Ok(()),
    };
    let log = Log {
        session: &session,
        platform: &platform,
        terminal,
    };
    if arguments.follow {
        log.follow().await
    } else {
        let printed = log.print(&mut Place::default()).await;
        printed.map_err(|stopped| log.failure(stopped))
    }
}

async fn newest_session(
    target: &Target,
    platform: &Platform,
    terminal: &Terminal,
) -> Result<String, Failure> {
    let template = target.find(platform).await?;
    let mut sandboxes = sandboxes_of(&template, platform).await?;
    let newest = sandboxes.pop().ok_or_else(|| {
        Failure::new(
            Fault::Platform,
            format!("{} has no open session", template.name),
        )
        .next("logs live as long as their session; `ppio-sandbox-cli agent invoke --keep` opens one that stays")
    })?;
    if !sandboxes.is_empty() {
        terminal.note(&format!(
            "{} sessions are open, showing the newest one, {}",
            sandboxes.len() + 1,
            newest.sandbox_id
        ));
    }
    Ok(newest.sandbox_id)
}

/// The log of one session.
struct Log<'a> {
    session: &'a str,
    platform: &'a Platform,
    terminal: &'a Terminal,
}

/// Why printing stopped.
enum Stopped {
    ByError(Error),
    ByReader(Failure),
}

impl Log<'_> {
    /// Prints what comes until the session ends. A platform that does not answer for a while is asked again.
    async fn follow(&self) -> Result<(), Failure> {
        let mut place = Place::default();
        let mut silent_since: Option<Instant> = None;
        loop {
            match self.print(&mut place).await {
                Ok(()) => {
                    if silent_since.take().is_some() {
                        self.terminal.note("the connection is back");
                    }
                }
                Err(Stopped::ByError(Error::SessionNotFound { .. })) => {
                    self.terminal.note("the session has ended");
                    return Ok(());
                }
                Err(Stopped::ByError(error)) if is_passing(&error) => {
                    if self.platform.has_ended() {
                        return Err(Failure::new(
                            Fault::Platform,
                            "the local platform has stopped, and the session with it",
                        ));
                    }
                    let since = *silent_since.get_or_insert_with(|| {
                        self.terminal.note("the connection is lost, trying again");
                        Instant::now()
                    });
                    if since.elapsed() > PATIENCE {
                        return Err(self.failure(Stopped::ByError(error)));
                    }
                }
                Err(stopped) => return Err(self.failure(stopped)),
            }
            sleep(POLL).await;
        }
    }

    /// Prints what has come since the last time.
    async fn print(&self, place: &mut Place) -> Result<(), Stopped> {
        loop {
            let query = LogQuery {
                start: place.milliseconds,
                limit: Some(PAGE),
                ..LogQuery::default()
            };
            let control_plane = self.platform.client().platform();
            let entries = control_plane
                .sandbox_logs(self.session, &query)
                .await
                .map_err(Stopped::ByError)?;
            let is_full = entries.len() >= PAGE as usize;
            for entry in place.new_ones(entries) {
                self.one(&entry).map_err(Stopped::ByReader)?;
            }
            if !is_full {
                return Ok(());
            }
        }
    }

    fn one(&self, entry: &LogEntry) -> Result<(), Failure> {
        match self.terminal.format() {
            Format::Text => match log_line::readable(&entry.message) {
                Some(mut readable) => {
                    readable.push("\n");
                    self.terminal.styled_piece(&readable)
                }
                None => self.terminal.piece(&format!("{}\n", entry.message)),
            },
            Format::Json => self.terminal.json_piece(&serde_json::json!({
                "timestamp": entry.timestamp,
                "level": entry.level,
                "message": entry.message,
                "fields": entry.fields,
            })),
        }
    }

    fn failure(&self, stopped: Stopped) -> Failure {
        match stopped {
            Stopped::ByReader(failure) => failure,
            Stopped::ByError(error) => {
                let what = format!("cannot read the log of session {}", self.session);
                self.platform.failure(what, &error)
            }
        }
    }
}

/// Whether trying again may help.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::Network { .. } | Error::Timeout { .. } | Error::RateLimit { .. } => true,
        other => other.status().is_some_and(|status| status >= 500),
    }
}

/// How far a log has been printed. The platform counts in milliseconds, in which more than one line may fall.
#[derive(Debug, Default)]
struct Place {
    /// The time of the last line.
    milliseconds: Option<i64>,
    /// The lines of that time that were printed.
    printed: usize,
}

impl Place {
    /// The entries that were not there before.
    fn new_ones(&mut self, entries: Vec<LogEntry>) -> Vec<LogEntry> {
        let is_full = entries.len() >= PAGE as usize;
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
            // More lines in one millisecond than the platform tells at once: the rest of them cannot be had.
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
        LogEntry {
            timestamp: timestamp.into(),
            level: "info".into(),
            message: message.into(),
            fields: std::collections::BTreeMap::default(),
        }
    }

    fn messages(entries: Vec<LogEntry>) -> Vec<String> {
        entries.into_iter().map(|entry| entry.message).collect()
    }

    #[test]
    fn lines_of_one_millisecond_are_told_apart_by_their_number() {
        let at =
            |time: &str, message: &str| entry(&format!("2026-01-01T00:00:00.{time}Z"), message);
        let mut place = Place::default();
        let first = vec![at("001000", "a"), at("002100", "b"), at("002200", "c")];
        assert_eq!(messages(place.new_ones(first)), ["a", "b", "c"]);
        // The platform is asked from the last millisecond on.
        let second = vec![
            at("002100", "b"),
            at("002200", "c"),
            at("002900", "d"),
            at("003", "e"),
        ];
        assert_eq!(messages(place.new_ones(second)), ["d", "e"]);
        assert_eq!(messages(place.new_ones(vec![at("003", "e")])), [""; 0]);
        assert_eq!(
            messages(place.new_ones(vec![at("003", "e"), at("003", "e")])),
            ["e"]
        );
    }
}
