//! Prints the output of `agent dev`: cargo's output, the agent's output, and the events between
//! them.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::Value;

use super::output_line::OutputLine;
use crate::error::CliError;
use crate::terminal::log_line;
use crate::terminal::styled::Styled;
use crate::terminal::{OutputFormat, Terminal};

const URL: Style = AnsiColor::Green.on_default().bold();
const CHAOS: Style = AnsiColor::Magenta.on_default();
/// The width of a terminal that reports none, in columns.
const DEFAULT_COLUMNS: u16 = 80;

#[derive(Debug)]
pub(super) struct DevConsole {
    terminal: Terminal,
    /// Whether cargo's last output did not end with a newline, as is usual for progress.
    in_line: Mutex<bool>,
}

/// The events of JSON output, one line each. The names are a contract with the programs that read
/// them.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum DevEvent<'a> {
    /// The agent is built or started because these files changed; empty for the first time.
    Building { changed: &'a [String] },
    /// The project cannot be read, or the agent cannot be built or started.
    Failed { error: &'a str, output: &'a str },
    /// A new process of the agent accepts requests.
    Serving { url: &'a str },
    /// A line of the agent's output.
    Log { line: &'a Value },
    /// The agent has exited without being stopped.
    Ended { status: &'a str },
    /// Calls are disturbed.
    Chaos { seed: u32 },
    /// A call was disturbed.
    Disturbed {
        /// The time of the disturbance, in RFC 3339 format.
        time: &'a str,
        /// The number of the call.
        call: u64,
        run_id: &'a str,
        /// `drop`, `slow`, `terminate` or `pause`.
        disturbance: &'a str,
    },
}

impl DevConsole {
    pub(super) fn new(terminal: &Terminal) -> Self {
        Self {
            terminal: terminal.clone(),
            in_line: Mutex::new(false),
        }
    }

    /// Returns the width of the terminal on standard error; `None` if standard error is not a
    /// terminal.
    pub(super) fn columns() -> Option<u16> {
        let stderr = io::stderr();
        if !stderr.is_terminal() {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(&stderr).ok();
        let columns = size.map(|size| size.ws_col);
        Some(
            columns
                .filter(|&columns| columns > 0)
                .unwrap_or(DEFAULT_COLUMNS),
        )
    }

    /// Whether cargo should show its progress.
    pub(super) fn is_verbose(&self) -> bool {
        self.terminal.is_verbose()
    }

    /// Prints a chunk of cargo's output immediately.
    pub(super) fn cargo_output(&self, output: &[u8]) {
        let Some(last) = output.last() else { return };
        let mut in_line = self.in_line();
        let mut stderr = anstream::stderr().lock();
        let _ = stderr.write_all(output).and_then(|()| stderr.flush());
        *in_line = *last != b'\n';
    }

    /// Prints a line of the agent's output.
    pub(super) fn agent_output(&self, line: &OutputLine<'_>) {
        self.on_new_line(|| match self.terminal.format() {
            OutputFormat::Json => {
                let text = Value::from(line.text);
                let line = line.json.as_ref().unwrap_or(&text);
                self.terminal.result(&DevEvent::Log { line }, String::new);
            }
            OutputFormat::Text => match line.members().and_then(log_line::formatted) {
                Some(formatted) => self.terminal.line(formatted),
                None => self.terminal.agent_line(line.text),
            },
        });
    }

    pub(super) fn building(&self, changed: &[String]) {
        self.event(&DevEvent::Building { changed }, || match changed {
            [] => {}
            [only] => self.terminal.note(&format!("{only} changed")),
            [first, others @ ..] => self
                .terminal
                .note(&format!("{first} and {} more changed", others.len())),
        });
    }

    pub(super) fn serving(&self, name: &str, url: &str, is_first: bool) {
        self.event(&DevEvent::Serving { url }, || {
            if is_first {
                let mut line = Styled::from(format!("{name} is serving on "));
                line.push_styled(URL, url);
                self.terminal.line(line);
                self.terminal
                    .note("every change restarts the agent; Ctrl-C stops it");
            } else {
                self.terminal.note(&format!("the new {name} is serving"));
            }
        });
    }

    /// Reports a failed build whose errors cargo has printed.
    pub(super) fn build_failed(&self, error: &CliError, output: &str, old_one_serves: bool) {
        let message = &error.message;
        let event = DevEvent::Failed {
            error: message,
            output,
        };
        self.event(&event, || {
            let next = next_step(old_one_serves);
            self.terminal.note(&format!("{message}; {next}"));
        });
    }

    /// Reports a failure whose errors cargo has not printed.
    pub(super) fn failed(&self, error: &CliError, output: &str, old_one_serves: bool) {
        let event = DevEvent::Failed {
            error: &error.message,
            output,
        };
        self.event(&event, || {
            let _ = self.terminal.print_error(error);
            self.terminal.note(next_step(old_one_serves));
        });
    }

    /// Reports that the agent has exited.
    pub(super) fn exited(&self, error: &CliError, status: &str) {
        self.event(&DevEvent::Ended { status }, || {
            let _ = self.terminal.print_error(error);
            self.terminal.note(next_step(false));
        });
    }

    /// Reports that calls are disturbed.
    pub(super) fn chaos(&self, seed: u32) {
        self.event(&DevEvent::Chaos { seed }, || {
            self.terminal.line(format!(
                "chaos: one call in four is disturbed; `--chaos {seed}` disturbs the same calls"
            ));
        });
    }

    /// Reports how a call was disturbed.
    pub(super) fn disturbed(&self, call: u64, run_id: &str, disturbance: &str, text: &str) {
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let event = DevEvent::Disturbed {
            time: &time,
            call,
            run_id,
            disturbance,
        };
        self.event(&event, || {
            let time = log_line::time_of_day(&time);
            let mut line = Styled::new();
            line.push_styled(CHAOS, &format!("{time} chaos:"));
            line.push(&format!(" {text} (run {run_id}, call {call})"));
            self.terminal.line(line);
        });
    }

    pub(super) fn note(&self, text: &str) {
        self.on_new_line(|| self.terminal.note(text));
    }

    fn event(&self, event: &DevEvent<'_>, print_text: impl FnOnce()) {
        self.on_new_line(|| match self.terminal.format() {
            OutputFormat::Json => self.terminal.result(event, String::new),
            OutputFormat::Text => print_text(),
        });
    }

    /// Erases cargo's progress, then prints.
    fn on_new_line(&self, print: impl FnOnce()) {
        let mut in_line = self.in_line();
        if std::mem::take(&mut *in_line) && io::stderr().is_terminal() {
            let _ = write!(anstream::stderr(), "\r\x1b[K");
        }
        print();
    }

    fn in_line(&self) -> MutexGuard<'_, bool> {
        self.in_line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn next_step(old_one_serves: bool) -> &'static str {
    if old_one_serves {
        "the previous agent keeps serving; waiting for a change"
    } else {
        "waiting for a change"
    }
}
