//! Questions at the terminal.

use std::io::{self, Write as _};

use dialoguer::Input;
use dialoguer::theme::ColorfulTheme;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::error::{CliError, ExitKind};
use crate::terminal::styled::escaped;

/// Prompts until the answer passes the check. Enter alone selects `default`; without a default,
/// Enter gives an empty answer if no answer is required.
pub(crate) async fn ask(
    question: impl Into<String>,
    default: Option<String>,
    required: bool,
    check: fn(&str) -> Result<(), String>,
) -> Result<String, CliError> {
    let question = escaped(&question.into()).into_owned();
    let guard = TerminalModeGuard::new();
    // On another thread, so that signals are handled meanwhile.
    let answer = tokio::task::spawn_blocking(move || {
        let theme = ColorfulTheme::default();
        let mut input = Input::<String>::with_theme(&theme)
            .with_prompt(question)
            .allow_empty(!required)
            .validate_with(|answer: &String| match answer.trim() {
                "" if !required => Ok(()),
                answer => check(answer),
            });
        if let Some(default) = default {
            input = input.default(default);
        }
        input.interact_text()
    });
    let answer = answer
        .await
        .map_err(|error| CliError::system("cannot read the answer", error))?
        .map_err(|dialoguer::Error::IO(error)| match error.kind() {
            // Ctrl-C in raw mode. The signal arrives as well, maybe later.
            io::ErrorKind::Interrupted => CliError::new(ExitKind::Interrupted, "interrupted"),
            _ => CliError::system("cannot read the answer", error),
        })?;
    guard.disarm();
    Ok(answer.trim().to_owned())
}

/// Restores the mode of the terminal if a question is cancelled: dialoguer sets it to raw.
struct TerminalModeGuard {
    mode: Option<Termios>,
}

impl TerminalModeGuard {
    fn new() -> Self {
        let mode = tcgetattr(io::stdin()).ok();
        Self { mode }
    }

    fn disarm(mut self) {
        self.mode = None;
    }
}

impl Drop for TerminalModeGuard {
    fn drop(&mut self) {
        if let Some(mode) = &self.mode {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, mode);
            // Ends the line of the question.
            let _ = writeln!(io::stderr());
        }
    }
}
