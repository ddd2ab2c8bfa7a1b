//! The only place that prints: results to standard output, everything else to standard error. All
//! of it goes through [`Styled`], which escapes what acts on a terminal, except what an agent
//! answers and logs where standard output is no terminal: that is passed on as it is.

pub(crate) mod log_line;
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

use crate::arguments::OutputArguments;
use crate::error::{Failure, Fault};
use crate::terminal::styled::{Styled, escaped, escaped_json};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();
const NOTE: Style = Style::new().dimmed();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// How a transfer is drawn.
const TRANSFER: &str =
    "{msg} [{bar:24}] {binary_bytes} / {binary_total_bytes}, {binary_bytes_per_sec}";
/// How often a spinner moves.
const TICK: Duration = Duration::from_millis(100);

/// What a result looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a person
    Text,
    /// For a program
    Json,
}

/// Prints; colours go out only where the stream is a terminal and `NO_COLOR` is not set.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    format: Format,
    quiet: bool,
}

impl Terminal {
    pub(crate) fn new(arguments: &OutputArguments) -> Self {
        Self {
            format: arguments.format,
            quiet: arguments.quiet,
        }
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// A result: the JSON form with `--output json`, the text otherwise, or nothing where the text is empty.
    pub(crate) fn result<T: Into<Styled>>(&self, value: &impl Serialize, text: impl FnOnce() -> T) {
        let line = match self.format {
            Format::Json => json_line(value).into(),
            Format::Text => text().into(),
        };
        if !line.is_empty() {
            self.line(line);
        }
    }

    /// A line of a result.
    #[expect(clippy::unused_self, reason = "printing is the terminal's")]
    pub(crate) fn line(&self, line: impl Into<Styled>) {
        // A reader that left early (`| head`) is no error of ours.
        let _ = writeln!(anstream::stdout(), "{}", line.into());
    }

    /// A line that an agent wrote, escaped on a terminal and without its styles elsewhere.
    pub(crate) fn agent_line(&self, line: &str) {
        if io::stdout().is_terminal() {
            self.line(line);
        } else {
            let _ = writeln!(anstream::stdout(), "{line}");
        }
    }

    /// A part of a result that comes bit by bit, shown at once. The agent's bytes: escaped on a terminal, and as they
    /// are for a file or another program.
    ///
    /// # Errors
    /// [`Fault::Unread`] when nobody reads any more: time to stop.
    #[expect(clippy::unused_self, reason = "printing is the terminal's")]
    pub(crate) fn piece(&self, text: &str) -> Result<(), Failure> {
        if io::stdout().is_terminal() {
            write(&escaped(text))
        } else {
            write(text)
        }
    }

    /// [`piece`](Self::piece) of this program's own, in colours where they are wanted.
    #[expect(clippy::unused_self, reason = "printing is the terminal's")]
    pub(crate) fn styled_piece(&self, text: &Styled) -> Result<(), Failure> {
        if AutoStream::choice(&io::stdout()) == ColorChoice::Never {
            write(&text.plain())
        } else {
            write(&text.to_string())
        }
    }

    /// [`piece`](Self::piece), as one line of JSON.
    pub(crate) fn json_piece(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.piece(&format!("{}\n", json_line(value)))
    }

    /// What happens on the way to a result, as a line of JSON for a program that follows it; not with `--quiet` or text
    /// output.
    pub(crate) fn event(&self, event: &impl Serialize) {
        if self.format == Format::Json && !self.quiet {
            self.line(json_line(event));
        }
    }

    /// What a person wants to know on the way; not with `--quiet` or JSON output.
    pub(crate) fn note(&self, text: &str) {
        self.styled_note(&Styled::from(text));
    }

    /// [`note`](Self::note), with styles of its own.
    pub(crate) fn styled_note(&self, text: &Styled) {
        if self.talks() {
            let _ = writeln!(anstream::stderr(), "{NOTE}{text}{NOTE:#}");
        }
    }

    /// What a person should know although the command goes on; not with `--quiet` or JSON output.
    pub(crate) fn warn(&self, text: &str) {
        if self.talks() {
            let text = escaped(text);
            let _ = writeln!(anstream::stderr(), "{WARNING}warning:{WARNING:#} {text}");
        }
    }

    /// Something that takes a while and has no measure. Drawn only on a terminal; gone when it is dropped.
    pub(crate) fn spinner(&self, text: impl Into<String>) -> Progress {
        self.drawn(ProgressBar::new_spinner(), &text.into())
    }

    /// So many bytes on their way: how many are there, and how fast they go. Drawn as a [`spinner`](Self::spinner) is.
    pub(crate) fn transfer(&self, text: impl Into<String>, bytes: u64) -> Progress {
        let bar = ProgressBar::new(bytes);
        if let Ok(style) = ProgressStyle::with_template(TRANSFER) {
            bar.set_style(style.progress_chars("=> "));
        }
        self.drawn(bar, &text.into())
    }

    fn drawn(&self, bar: ProgressBar, text: &str) -> Progress {
        // Indicatif itself draws nothing where standard error is no terminal.
        if !self.talks() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        bar.set_message(escaped(text).into_owned());
        bar.enable_steady_tick(TICK);
        Progress(bar)
    }

    /// Whether there is a person to ask: both to see the question and to type the answer.
    pub(crate) fn can_ask(&self) -> bool {
        self.format == Format::Text && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks a question whose answer is no unless the person says yes.
    pub(crate) async fn confirm(&self, question: &str) -> Result<bool, Failure> {
        let _ = write!(anstream::stderr(), "{} [y/N] ", escaped(question));
        let answer = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            io::stdin().read_line(&mut answer).map(|_| answer)
        });
        let answer = answer
            .await
            .map_err(|error| Failure::system("cannot read the answer", error))?
            .map_err(|error| Failure::system("cannot read the answer", error))?;
        Ok(matches!(
            answer.trim().to_ascii_lowercase().as_str(),
            "y" | "yes"
        ))
    }

    /// Whether anything but results and failures is printed.
    pub(crate) fn talks(&self) -> bool {
        !self.quiet && self.format == Format::Text
    }

    /// Prints a failure and tells the exit code.
    pub(crate) fn fail(&self, failure: &Failure) -> ExitCode {
        let code = failure.fault.exit_code();
        match (failure.fault, self.format) {
            (Fault::Unread, _) => {}
            (_, Format::Json) => {
                let _ = writeln!(anstream::stderr(), "{}", json_line(&failure.document()));
            }
            (Fault::Interrupted | Fault::Terminated, Format::Text) => self.note(&failure.what),
            (_, Format::Text) => explain(failure),
        }
        ExitCode::from(code)
    }
}

fn explain(failure: &Failure) {
    let mut text = Styled::new();
    text.push_styled(ERROR, "error:");
    text.push(&format!(" {}", failure.what));
    let facts = failure.facts.iter().filter_map(|(name, value)| {
        Some(format!("{}: {}", name.replace('_', " "), value.as_str()?))
    });
    for detail in failure.why.iter().cloned().chain(facts) {
        for line in detail.lines() {
            text.push(&format!("\n  {line}"));
        }
    }
    if let Some(next) = &failure.next {
        text.push("\n");
        text.push_styled(HINT, "help:");
        text.push(&format!(" {next}"));
    }
    let _ = writeln!(anstream::stderr(), "{text}");
}

fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(Fault::Unread, "nobody reads the output"),
        _ => Failure::system("cannot write to standard output", error),
    })
}

fn json_line(value: &impl Serialize) -> String {
    // Nothing that is printed has maps with keys other than texts, the only thing that fails here.
    escaped_json(serde_json::to_string(value).unwrap_or_default())
}

/// Something under way, drawn while this lives.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Says what is done now.
    pub(crate) fn tell(&self, text: impl Into<String>) {
        self.0.set_message(escaped(&text.into()).into_owned());
    }

    /// Moves a [`transfer`](Terminal::transfer) to so many bytes.
    pub(crate) fn meter(&self) -> impl Fn(u64) + Send + Sync + 'static {
        let bar = self.0.clone();
        move |bytes| bar.set_position(bytes)
    }

    /// Prints without getting into the drawing's way.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
