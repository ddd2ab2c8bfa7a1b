//! Everything that the program prints: results to standard output, the rest to standard error.
//!
//! Text goes through [`Styled`], which escapes control characters, except the output of agents when
//! standard output is not a terminal: that output is not escaped.

pub(crate) mod log_line;
mod progress;
pub(crate) mod question;
pub(crate) mod styled;
pub(crate) mod table;
pub(crate) mod warnings;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

pub(crate) use self::progress::ProgressLine;

use self::styled::{Styled, escaped, escaped_json};
use crate::error::{CliError, ExitKind};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();
const NOTE: Style = Style::new().dimmed();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// The progress bar of a transfer.
const TRANSFER_TEMPLATE: &str =
    "{msg} [{bar:24}] {binary_bytes} / {binary_total_bytes}, {binary_bytes_per_sec}";
const TICK_INTERVAL: Duration = Duration::from_millis(100);

/// The format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Text for people
    Text,
    /// JSON for programs
    Json,
}

/// Prints results and messages, in colour if the stream is a terminal and `NO_COLOR` is not set.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    format: OutputFormat,
    quiet: bool,
}

impl Terminal {
    pub(crate) fn new(format: OutputFormat, quiet: bool) -> Self {
        Self { format, quiet }
    }

    pub(crate) fn format(&self) -> OutputFormat {
        self.format
    }

    /// Prints a result: `value` with JSON output, otherwise `text`, if it is not empty.
    pub(crate) fn result<T: Into<Styled>>(&self, value: &impl Serialize, text: impl FnOnce() -> T) {
        let line = match self.format {
            OutputFormat::Json => json_line(value).into(),
            OutputFormat::Text => text().into(),
        };
        if !line.is_empty() {
            self.line(line);
        }
    }

    /// Prints a line of a result.
    #[expect(clippy::unused_self, reason = "printing is a method of the terminal")]
    pub(crate) fn line(&self, line: impl Into<Styled>) {
        // A closed pipe, as by `| head`, is not an error.
        let _ = writeln!(anstream::stdout(), "{}", line.into());
    }

    /// Prints a line of an agent's output: escaped on a terminal, otherwise without its colours.
    pub(crate) fn agent_line(&self, line: &str) {
        if io::stdout().is_terminal() {
            self.line(line);
        } else {
            let _ = writeln!(anstream::stdout(), "{line}");
        }
    }

    /// Prints a part of a result immediately: escaped on a terminal, otherwise unchanged.
    ///
    /// # Errors
    /// [`ExitKind::OutputClosed`] when standard output is closed, [`ExitKind::System`] when the
    /// write fails for another reason.
    #[expect(clippy::unused_self, reason = "printing is a method of the terminal")]
    pub(crate) fn write_text(&self, text: &str) -> Result<(), CliError> {
        if io::stdout().is_terminal() {
            write(&escaped(text))
        } else {
            write(text)
        }
    }

    /// As [`write_text`](Self::write_text), with the colours of this program.
    #[expect(clippy::unused_self, reason = "printing is a method of the terminal")]
    pub(crate) fn write_styled(&self, text: &Styled) -> Result<(), CliError> {
        if AutoStream::choice(&io::stdout()) == ColorChoice::Never {
            write(&text.plain())
        } else {
            write(&text.to_string())
        }
    }

    /// As [`write_text`](Self::write_text), for a value as a line of JSON.
    pub(crate) fn write_json(&self, value: &impl Serialize) -> Result<(), CliError> {
        self.write_text(&format!("{}\n", json_line(value)))
    }

    /// Prints an event as a line of JSON; nothing with `--quiet` or text output.
    pub(crate) fn event(&self, event: &impl Serialize) {
        if self.format == OutputFormat::Json && !self.quiet {
            self.line(json_line(event));
        }
    }

    /// Prints a message; nothing with `--quiet` or JSON output.
    pub(crate) fn note(&self, text: &str) {
        self.styled_note(&Styled::from(text));
    }

    /// As [`note`](Self::note), with colours.
    pub(crate) fn styled_note(&self, text: &Styled) {
        if self.is_verbose() {
            let _ = writeln!(anstream::stderr(), "{NOTE}{text}{NOTE:#}");
        }
    }

    /// Prints a warning; nothing with `--quiet` or JSON output.
    pub(crate) fn warn(&self, text: &str) {
        if self.is_verbose() {
            let text = escaped(text);
            let _ = writeln!(anstream::stderr(), "{WARNING}warning:{WARNING:#} {text}");
        }
    }

    /// Shows a spinner on a terminal until the value is dropped; nothing with `--quiet` or JSON
    /// output.
    pub(crate) fn spinner(&self, text: impl Into<String>) -> ProgressLine {
        self.draw(ProgressBar::new_spinner(), &text.into())
    }

    /// Shows a progress bar for a transfer on a terminal until the value is dropped; nothing with
    /// `--quiet` or JSON output.
    pub(crate) fn transfer(&self, text: impl Into<String>, bytes: u64) -> ProgressLine {
        let bar = ProgressBar::new(bytes);
        if let Ok(style) = ProgressStyle::with_template(TRANSFER_TEMPLATE) {
            bar.set_style(style.progress_chars("=> "));
        }
        self.draw(bar, &text.into())
    }

    fn draw(&self, bar: ProgressBar, text: &str) -> ProgressLine {
        if !self.is_verbose() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        bar.set_message(escaped(text).into_owned());
        bar.enable_steady_tick(TICK_INTERVAL);
        ProgressLine::new(bar)
    }

    /// Whether the user can be prompted: with text output, and if standard input and standard error
    /// are terminals.
    pub(crate) fn is_interactive(&self) -> bool {
        self.format == OutputFormat::Text && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Prompts for yes or no; the default is no.
    pub(crate) async fn confirm(&self, question: &str) -> Result<bool, CliError> {
        let _ = write!(anstream::stderr(), "{} [y/N] ", escaped(question));
        let answer = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            io::stdin().read_line(&mut answer).map(|_| answer)
        });
        let answer = answer
            .await
            .map_err(|error| CliError::system("cannot read the answer", error))?
            .map_err(|error| CliError::system("cannot read the answer", error))?;
        Ok(matches!(
            answer.trim().to_ascii_lowercase().as_str(),
            "y" | "yes"
        ))
    }

    /// Whether notes and warnings are printed.
    pub(crate) fn is_verbose(&self) -> bool {
        !self.quiet && self.format == OutputFormat::Text
    }

    /// Prints an error and returns the exit code.
    pub(crate) fn print_error(&self, error: &CliError) -> ExitCode {
        let code = error.kind.exit_code();
        match (error.kind, self.format) {
            (ExitKind::OutputClosed, _) => {}
            (_, OutputFormat::Json) => {
                let _ = writeln!(anstream::stderr(), "{}", json_line(&error.to_json()));
            }
            (ExitKind::Interrupted | ExitKind::Terminated, OutputFormat::Text) => {
                self.note(&error.message);
            }
            (_, OutputFormat::Text) => print_text(error),
        }
        ExitCode::from(code)
    }
}

fn print_text(error: &CliError) {
    let mut text = Styled::new();
    text.push_styled(ERROR, "error:");
    text.push(&format!(" {}", error.message));
    let facts = error.fields.iter().filter_map(|(name, value)| {
        Some(format!("{}: {}", name.replace('_', " "), value.as_str()?))
    });
    for detail in error.causes.iter().cloned().chain(facts) {
        for line in detail.lines() {
            text.push(&format!("\n  {line}"));
        }
    }
    if let Some(help) = &error.help {
        text.push("\n");
        text.push_styled(HINT, "help:");
        text.push(&format!(" {help}"));
    }
    let _ = writeln!(anstream::stderr(), "{text}");
}

fn write(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.map_err(output_error)
}

/// Returns the error of a failed write to standard output.
pub(crate) fn output_error(error: io::Error) -> CliError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => {
            CliError::new(ExitKind::OutputClosed, "standard output is closed")
        }
        _ => CliError::system("cannot write to standard output", error),
    }
}

fn json_line(value: &impl Serialize) -> String {
    // Fails only for maps whose keys are not strings, of which there are none.
    escaped_json(serde_json::to_string(value).unwrap_or_default())
}
