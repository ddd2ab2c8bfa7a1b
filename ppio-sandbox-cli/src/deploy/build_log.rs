//! The log of a build, printed as it grows, and the error of a build that failed.

use std::collections::VecDeque;

use ppio_agent_client::platform::{BuildLog, BuildReason, BuildStatus, BuildStep, StepKind};
use serde_json::json;

use super::event::{DeployEvent, LogLine};
use crate::error::{CliError, ExitKind};
use crate::terminal::{ProgressLine, Terminal};

/// The longest text of a step in an error message, in characters.
const MAX_STEP_CHARS: usize = 80;
/// The number of lines that the error of a failed build repeats.
const TAIL_LINES: usize = 15;

/// Prints the lines of a build's log once each.
#[derive(Debug, Default)]
pub(super) struct BuildLogPrinter {
    /// The number of lines printed.
    pub(super) printed: u64,
    /// The step of the last printed line that has a step.
    step: Option<usize>,
    tail: VecDeque<LogLine>,
}

impl BuildLogPrinter {
    /// Prints the log lines of `status`, all of which are new. Returns whether there were any
    /// lines.
    pub(super) fn print(
        &mut self,
        status: &BuildStatus,
        steps: &[BuildStep],
        progress: &ProgressLine,
        terminal: &Terminal,
    ) -> bool {
        // Older platforms send only lines without fields.
        let lines: Vec<LogLine> = if status.log_entries.is_empty() {
            status.logs.iter().map(|line| text_line(line)).collect()
        } else {
            status.log_entries.iter().map(log_line).collect()
        };
        self.printed += lines.len() as u64;
        let any = !lines.is_empty();
        for line in lines {
            if let Some(number) = line.step
                && self.step.replace(number) != Some(number)
            {
                let step = number.checked_sub(1).and_then(|index| steps.get(index));
                let command = step.map(dockerfile_line).unwrap_or_default();
                terminal.event(&DeployEvent::Step {
                    step: number,
                    command: &command,
                });
            }
            terminal.event(&DeployEvent::Log(line.clone()));
            progress.suspend(|| terminal.note(&format!("  {}", line.message)));
            if self.tail.len() == TAIL_LINES {
                self.tail.pop_front();
            }
            self.tail.push_back(line);
        }
        any
    }

    /// Returns the error of a failed build: the step, the reason, and the last lines of the log.
    pub(super) fn build_error(
        &self,
        name: &str,
        reason: Option<BuildReason>,
        steps: &[BuildStep],
    ) -> CliError {
        let reason = reason.unwrap_or_default();
        let number = reason.step.as_deref().and_then(|step| step.parse().ok());
        let step = number.and_then(|number: usize| steps.get(number.checked_sub(1)?));
        let message = match (step, number, reason.step) {
            (Some(step), Some(number), _) => format!(
                "the build of {name} failed in step {number} of {}: {}",
                steps.len(),
                shortened(dockerfile_line(step))
            ),
            (_, _, Some(step)) => format!("the build of {name} failed in step {step}"),
            _ => format!("the build of {name} failed"),
        };
        let mut error = CliError::new(ExitKind::Agent, message);
        // Some platforms repeat the step in front of the reason.
        let prefix = step.map(|step| format!("{}: ", dockerfile_line(step)));
        let cause = prefix.and_then(|prefix| reason.message.strip_prefix(&prefix));
        let cause = cause.unwrap_or(&reason.message);
        if !cause.is_empty() {
            error = error.cause(cause);
        }
        if let Some(number) = number {
            let command = step.map(dockerfile_line);
            error = error.data(
                "step",
                json!({ "step": number, "of": steps.len(), "command": command }),
            );
        }
        error = error.data("log", json!(self.tail));
        if !self.tail.is_empty() {
            let lines = self.tail.iter().map(|line| format!("| {}", line.message));
            let lines: Vec<_> = lines.collect();
            error = error.cause(format!("last lines of the build:\n{}", lines.join("\n")));
        }
        error.help(
            "correct the cause and deploy again; an earlier deployment of the agent is unchanged",
        )
    }
}

/// Returns a step as a line of a Dockerfile, without the values of variables, which may be secrets.
pub(super) fn dockerfile_line(step: &BuildStep) -> String {
    let argument = |index: usize| step.args.get(index).map_or("", String::as_str);
    match step.kind {
        StepKind::Copy => format!("COPY {} {}", argument(0), argument(1)),
        StepKind::Run => format!("RUN {}", argument(0)),
        StepKind::Env => {
            let names: Vec<_> = step.args.iter().step_by(2).map(String::as_str).collect();
            format!("ENV {}", names.join(" "))
        }
        StepKind::Workdir => format!("WORKDIR {}", argument(0)),
        StepKind::User => format!("USER {}", argument(0)),
    }
}

fn text_line(line: &str) -> LogLine {
    LogLine {
        timestamp: String::new(),
        level: String::new(),
        step: None,
        message: line.trim_end().to_owned(),
    }
}

fn log_line(entry: &BuildLog) -> LogLine {
    LogLine {
        timestamp: entry.timestamp.clone(),
        level: entry.level.clone(),
        step: entry.step.as_deref().and_then(|step| step.parse().ok()),
        ..text_line(&entry.message)
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_STEP_CHARS) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: StepKind, args: &[&str]) -> BuildStep {
        BuildStep {
            kind,
            args: args.iter().map(|&argument| argument.to_owned()).collect(),
            files_hash: None,
            force: None,
        }
    }

    fn reason(message: &str) -> BuildReason {
        let reason = serde_json::json!({"message": message, "step": "1"});
        serde_json::from_value(reason).expect("a reason")
    }

    #[test]
    fn an_error_names_the_step_without_the_values_of_variables() {
        let steps = [step(StepKind::Env, &["A", "a", "KEY", "secret"])];
        let reason = reason("no room");
        let error = BuildLogPrinter::default().build_error("a", Some(reason), &steps);
        assert_eq!(
            error.message,
            "the build of a failed in step 1 of 1: ENV A KEY"
        );
        assert_eq!(
            (error.kind, error.causes),
            (ExitKind::Agent, vec!["no room".to_owned()])
        );
    }

    #[test]
    fn a_long_step_is_shortened_and_not_repeated() {
        let command = "install ".repeat(40);
        let steps = [step(StepKind::Run, &[&command])];
        let reason = reason(&format!(
            "RUN {command}: the command ended with exit status: 1"
        ));
        let error = BuildLogPrinter::default().build_error("a", Some(reason), &steps);
        let (head, step) = error
            .message
            .split_once(": ")
            .expect("a message with a step");
        assert_eq!(head, "the build of a failed in step 1 of 1");
        assert!(step.starts_with("RUN install") && step.ends_with('…'));
        assert_eq!(step.chars().count(), MAX_STEP_CHARS + 1);
        assert_eq!(error.causes, ["the command ended with exit status: 1"]);
    }
}
