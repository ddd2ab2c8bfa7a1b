//! `doctor`: what a machine needs, tried out one by one.

mod machine;
mod platform;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::arguments::DoctorArguments;
use crate::error::{Failure, Fault};
use crate::terminal::Terminal;
use crate::terminal::styled::Styled;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// Something can be done without it.
    Warn,
    Fail,
}

/// One thing that was tried out.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Status,
    message: String,
    help: Option<String>,
    /// Whose fault it is where it fails.
    #[serde(skip)]
    fault: Fault,
}

impl Check {
    fn new(name: &'static str, status: Status, message: impl Into<String>) -> Self {
        Self {
            name,
            status,
            message: message.into(),
            help: None,
            fault: Fault::System,
        }
    }

    fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, message)
    }

    fn help(mut self, remedy: impl Into<String>) -> Self {
        self.help = Some(remedy.into());
        self
    }

    /// What a failure says, in one line.
    fn of(name: &'static str, status: Status, failure: Failure) -> Self {
        let parts: Vec<_> = [failure.what].into_iter().chain(failure.why).collect();
        Self {
            help: failure.next,
            fault: failure.fault,
            ..Self::new(name, status, parts.join(": "))
        }
    }

    fn text(&self) -> Styled {
        let (word, style) = match self.status {
            Status::Ok => ("ok", AnsiColor::Green.on_default()),
            Status::Warn => ("warn", AnsiColor::Yellow.on_default()),
            Status::Fail => ("fail", AnsiColor::Red.on_default().bold()),
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
struct Report<'a> {
    ok: bool,
    checks: &'a [Check],
}

pub(crate) async fn run(arguments: DoctorArguments, terminal: &Terminal) -> Result<(), Failure> {
    let progress = terminal.spinner("trying things out");
    let (toolchain, isolation, python, platform) = tokio::join!(
        machine::toolchain(),
        machine::isolation(),
        machine::python(),
        platform::checks(&arguments.platform)
    );
    drop(progress);
    let mut checks = toolchain;
    checks.extend(isolation);
    checks.push(python);
    checks.extend(platform);

    let failed: Vec<_> = checks
        .iter()
        .filter(|check| check.status == Status::Fail)
        .collect();
    let report = Report {
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
    Err(Failure::new(
        first.fault,
        format!("not everything is as it should be: {}", names.join(", ")),
    ))
}
