//! The only place that prints: results to standard output, everything else to standard error.

use std::io::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::arguments::OutputArguments;
use crate::failure::Failure;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();
const NOTE: Style = Style::new().dimmed();

/// What a result looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For a person.
    Text,
    /// One JSON document, or one per line.
    Json,
}

/// Prints; colours go out only where the stream is a terminal and `NO_COLOR` is not set.
#[derive(Debug)]
pub(crate) struct Terminal {
    format: Format,
    quiet: bool,
}

impl Terminal {
    pub(crate) fn new(arguments: &OutputArguments) -> Self {
        let format = if arguments.json {
            Format::Json
        } else {
            Format::Text
        };
        Self {
            format,
            quiet: arguments.quiet,
        }
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// A result: the JSON form with `--json`, the text otherwise.
    pub(crate) fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) {
        let line = match self.format {
            Format::Json => serde_json::to_string(value).unwrap_or_default(),
            Format::Text => text(),
        };
        self.line(&line);
    }

    /// A line of a result, as it is.
    #[expect(clippy::unused_self, reason = "printing is the terminal's")]
    pub(crate) fn line(&self, line: &str) {
        // A reader that left early (`| head`) is no error of ours.
        let _ = writeln!(anstream::stdout(), "{line}");
    }

    /// What a person wants to know on the way; not with `--quiet` or `--json`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && self.format == Format::Text {
            let _ = writeln!(anstream::stderr(), "{NOTE}{text}{NOTE:#}");
        }
    }

    /// Prints a failure and tells the exit code.
    pub(crate) fn fail(&self, failure: &Failure) -> ExitCode {
        let mut stderr = anstream::stderr();
        let code = failure.fault.exit_code();
        if self.format == Format::Json {
            let document = serde_json::json!({
                "error": failure.what, "causes": failure.why, "next": failure.next, "code": code,
            });
            let _ = writeln!(stderr, "{document}");
            return ExitCode::from(code);
        }
        let _ = writeln!(stderr, "{ERROR}error:{ERROR:#} {}", failure.what);
        for cause in &failure.why {
            let _ = writeln!(stderr, "  {cause}");
        }
        if let Some(next) = &failure.next {
            let _ = writeln!(stderr, "{HINT}help:{HINT:#} {next}");
        }
        ExitCode::from(code)
    }
}
