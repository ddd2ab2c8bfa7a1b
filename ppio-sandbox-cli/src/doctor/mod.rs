//! `doctor`: checks this machine and the platform.

mod machine;
mod platform;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::arguments::DoctorArguments;
use crate::error::{CliError, ExitKind};
use crate::terminal::Terminal;
use crate::terminal::styled::Styled;

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum CheckStatus {
    Ok,
    /// A program or a property is missing that only some commands need.
    Warn,
    Fail,
}

/// A check with its result.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: CheckStatus,
    message: String,
    help: Option<String>,
    /// Decides the exit code if this check is the first one that fails.
    #[serde(skip)]
    exit_kind: ExitKind,
}

impl Check {
    fn new(name: &'static str, status: CheckStatus, message: impl Into<String>) -> Self {
        Self {
            name,
            status,
            message: message.into(),
            help: None,
            exit_kind: ExitKind::System,
        }
    }

    fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::Ok, message)
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Creates a check that ended with an error. The message has the error and its causes,
    /// separated by colons.
    fn from_error(name: &'static str, status: CheckStatus, error: CliError) -> Self {
        let parts: Vec<_> = [error.message].into_iter().chain(error.causes).collect();
        Self {
            help: error.help,
            exit_kind: error.kind,
            ..Self::new(name, status, parts.join(": "))
        }
    }

    fn text(&self) -> Styled {
        let (word, style) = match self.status {
            CheckStatus::Ok => ("ok", AnsiColor::Green.on_default()),
            CheckStatus::Warn => ("warn", AnsiColor::Yellow.on_default()),
            CheckStatus::Fail => ("fail", AnsiColor::Red.on_default().bold()),
        };
        let mut text = Styled::new();
        text.push_styled(style, &format!("{word:<4}"));
        text.push(&format!("  {:<10}  {}", self.name, self.message));
        if let Some(help) = &self.help {
            text.push(&format!("\n{:18}", ""));
            text.push_styled(Style::new().dimmed(), &format!("help: {help}"));
        }
        text
    }
}

#[derive(Debug, Serialize)]
struct DoctorReport<'a> {
    ok: bool,
    checks: &'a [Check],
}

pub(crate) async fn run(arguments: DoctorArguments, terminal: &Terminal) -> Result<(), CliError> {
    let progress = terminal.spinner("checking");
    let (toolchain, isolation, localhost, python, platform) = tokio::join!(
        machine::toolchain(),
        machine::isolation(),
        machine::localhost(),
        machine::python(),
        platform::checks(&arguments.platform)
    );
    drop(progress);
    let mut checks = toolchain;
    checks.extend(isolation);
    checks.push(localhost);
    checks.push(python);
    checks.extend(platform);

    let failed: Vec<_> = checks
        .iter()
        .filter(|check| check.status == CheckStatus::Fail)
        .collect();
    let report = DoctorReport {
        ok: failed.is_empty(),
        checks: &checks,
    };
    terminal.result(&report, || {
        let mut text = Styled::new();
        for (index, check) in checks.iter().enumerate() {
            if index > 0 {
                text.push("\n");
            }
            text.append(&check.text());
        }
        text
    });
    let Some(first) = failed.first() else {
        return Ok(());
    };
    let names: Vec<_> = failed.iter().map(|check| check.name).collect();
    Err(CliError::new(
        first.exit_kind,
        format!("failed checks: {}", names.join(", ")),
    ))
}
