//! Questions to the person at the terminal.

use std::io::{self, Write as _};

use dialoguer::Input;
use dialoguer::theme::ColorfulTheme;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::error::{Failure, Fault};
use crate::terminal::styled::escaped;

/// Asks until the answer passes the check. The start value is what Enter alone answers; without one, and where an answer
/// is not required, that answers nothing.
pub(crate) async fn ask(
    question: impl Into<String>,
    start: Option<String>,
    required: bool,
    check: fn(&str) -> Result<(), String>,
) -> Result<String, Failure> {
    let question = escaped(&question.into()).into_owned();
    let unanswered = Unanswered::start();
    // The terminal is read on a thread of its own, so that Ctrl-C is seen meanwhile.
    let answer = tokio::task::spawn_blocking(move || {
        let theme = ColorfulTheme::default();
        let mut input = Input::<String>::with_theme(&theme)
            .with_prompt(question)
            .allow_empty(!required)
            .validate_with(|answer: &String| match answer.trim() {
                "" if !required => Ok(()),
                answer => check(answer),
            });
        if let Some(start) = start {
            input = input.default(start);
        }
        input.interact_text()
    });
    let answer = answer
        .await
        .map_err(|error| Failure::system("cannot ask", error))?
        .map_err(|dialoguer::Error::IO(error)| match error.kind() {
            // Ctrl-C is a key where keys are read one by one. It comes as a signal too, which may be seen later.
            io::ErrorKind::Interrupted => Failure::new(Fault::Interrupted, "interrupted"),
            _ => Failure::system("cannot read the answer", error),
        })?;
    unanswered.end();
    Ok(answer.trim().to_owned())
}

/// A question that may be given up, which must leave the terminal as it was: keys are read one by one, without echo.
struct Unanswered {
    mode: Option<Termios>,
}

impl Unanswered {
    fn start() -> Self {
        let mode = tcgetattr(io::stdin()).ok();
        Self { mode }
    }

    fn end(mut self) {
        self.mode = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(mode) = &self.mode {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, mode);
            // The question's line ends here.
            let _ = writeln!(io::stderr());
        }
    }
}
