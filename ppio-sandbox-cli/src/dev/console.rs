//! What `agent dev` shows: cargo's words as cargo says them, the agent's lines, and what happens between them.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::Value;

use crate::error::Failure;
use crate::terminal::log_line;
use crate::terminal::styled::Styled;
use crate::terminal::{Format, Terminal};

const URL: Style = AnsiColor::Green.on_default().bold();

#[derive(Debug)]
pub(super) struct Console {
    terminal: Terminal,
    /// Whether cargo's progress stands in the line of the cursor.
    midway: Mutex<bool>,
}

/// For programs: one line each.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event<'a> {
    /// The agent is built because of these files; none at the start.
    Building { changed: &'a [String] },
    /// There is nothing new to serve.
    Failed { error: &'a str, output: &'a str },
    /// What was built last serves.
    Serving { url: &'a str },
    /// The agent wrote this.
    Log { line: Value },
    /// The agent that served is gone.
    Ended { status: &'a str },
}

impl Console {
    pub(super) fn new(terminal: &Terminal) -> Self {
        Self {
            terminal: terminal.clone(),
            midway: Mutex::new(false),
        }
    }

    /// How wide the terminal is that cargo's words go to, if they go to one.
    pub(super) fn columns() -> Option<u16> {
        let stderr = io::stderr();
        if !stderr.is_terminal() {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(&stderr).ok();
        // A terminal without a size is as wide as the first ones were.
        Some(size.map_or(0, |size| size.ws_col))
            .map(|columns| if columns == 0 { 80 } else { columns })
    }

    /// Whether cargo should say what it does.
    pub(super) fn talks(&self) -> bool {
        self.terminal.talks()
    }

    /// What cargo says, passed on at once.
    pub(super) fn cargo(&self, said: &[u8]) {
        let Some(last) = said.last() else { return };
        let mut midway = self.midway();
        let mut stderr = anstream::stderr().lock();
        let _ = stderr.write_all(said).and_then(|()| stderr.flush());
        *midway = *last != b'\n';
    }

    /// A line that the agent wrote.
    pub(super) fn agent(&self, line: &str) {
        self.between_cargos_lines(|| match self.terminal.format() {
            Format::Json => self.terminal.result(
                &Event::Log {
                    line: serde_json::from_str(line).unwrap_or_else(|_| line.into()),
                },
                String::new,
            ),
            Format::Text => match log_line::readable(line) {
                Some(readable) => self.terminal.line(readable),
                None => self.terminal.agent_line(line),
            },
        });
    }

    pub(super) fn building(&self, changed: &[String]) {
        self.tell(&Event::Building { changed }, || match changed {
            [] => {}
            [only] => self.terminal.note(&format!("{only} changed")),
            [first, others @ ..] => self
                .terminal
                .note(&format!("{first} and {} more changed", others.len())),
        });
    }

    pub(super) fn serving(&self, name: &str, url: &str, is_first: bool) {
        self.tell(&Event::Serving { url }, || {
            if is_first {
                let mut line = Styled::from(format!("{name} serves on "));
                line.push_styled(URL, url);
                self.terminal.line(line);
                self.terminal
                    .note("it is built anew on every change; Ctrl-C ends it");
            } else {
                self.terminal.note(&format!("the new {name} serves"));
            }
        });
    }

    /// Cargo has said why there is nothing new to serve; this is what happens instead.
    pub(super) fn uncompiled(&self, failure: &Failure, output: &str, old_one_serves: bool) {
        let error = &failure.what;
        self.tell(&Event::Failed { error, output }, || {
            let instead = instead(old_one_serves);
            self.terminal.note(&format!("{error}; {instead}"));
        });
    }

    /// Shows why there is nothing new to serve, and what happens instead.
    pub(super) fn failed(&self, failure: &Failure, output: &str, old_one_serves: bool) {
        let error = &failure.what;
        self.tell(&Event::Failed { error, output }, || {
            let _ = self.terminal.fail(failure);
            self.terminal.note(instead(old_one_serves));
        });
    }

    pub(super) fn ended(&self, failure: &Failure, status: &str) {
        self.tell(&Event::Ended { status }, || {
            let _ = self.terminal.fail(failure);
            self.terminal.note(instead(false));
        });
    }

    pub(super) fn note(&self, text: &str) {
        self.between_cargos_lines(|| self.terminal.note(text));
    }

    fn tell(&self, event: &Event<'_>, in_words: impl FnOnce()) {
        self.between_cargos_lines(|| match self.terminal.format() {
            Format::Json => self.terminal.result(event, String::new),
            Format::Text => in_words(),
        });
    }

    fn between_cargos_lines(&self, print: impl FnOnce()) {
        let mut midway = self.midway();
        if std::mem::take(&mut *midway) && io::stderr().is_terminal() {
            let _ = write!(anstream::stderr(), "\r\x1b[K");
        }
        print();
    }

    fn midway(&self) -> std::sync::MutexGuard<'_, bool> {
        self.midway.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn instead(old_one_serves: bool) -> &'static str {
    if old_one_serves {
        "the agent from before serves on; waiting for a change"
    } else {
        "waiting for a change"
    }
}
