//! The error that a command ends with.

use std::error::Error as StdError;

use serde_json::{Value, json};

/// The kind of error that ended the command. It determines the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitKind {
    /// The agent answered with an error, crashed, cannot be built, or has a new API that breaks
    /// callers: exit code 1.
    Agent,
    /// The command line, agent.yaml or the project is wrong: exit code 2, as clap's.
    Usage,
    /// The platform refused a request, failed or cannot be reached: exit code 3.
    Platform,
    /// This machine is the cause, such as a file that cannot be written or a missing program: exit
    /// code 4.
    System,
    /// The program of `agent exec` cannot be executed: exit code 126, as in shells.
    ProgramNotExecutable,
    /// The program of `agent exec` does not exist: exit code 127, as in shells.
    ProgramNotFound,
    /// Ctrl-C: exit code 130, as in shells.
    Interrupted,
    /// SIGTERM or SIGHUP, and SIGQUIT in the terminal of `agent exec`: exit code 143.
    Terminated,
    /// Standard output was closed, as by `… | head`. Not an error: exit code 0.
    OutputClosed,
}

impl ExitKind {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Agent => 1,
            Self::Usage => 2,
            Self::Platform => 3,
            Self::System => 4,
            Self::ProgramNotExecutable => 126,
            Self::ProgramNotFound => 127,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::OutputClosed => 0,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Usage => "usage",
            Self::Platform => "platform",
            Self::System => "system",
            Self::ProgramNotExecutable | Self::ProgramNotFound => "program",
            Self::Interrupted | Self::Terminated => "interrupted",
            Self::OutputClosed => "unread",
        }
    }
}

/// The error of a command: what failed, the causes, and what the user can do.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) kind: ExitKind,
    /// The identifier of the error in JSON output.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// The causes, outermost first.
    pub(crate) causes: Vec<String>,
    /// Further fields of the JSON document. Text output shows those that are strings.
    pub(crate) fields: Vec<(&'static str, Value)>,
    pub(crate) help: Option<String>,
}

impl CliError {
    pub(crate) fn new(kind: ExitKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: kind.code(),
            message: message.into(),
            causes: Vec::new(),
            fields: Vec::new(),
            help: None,
        }
    }

    /// Creates an error of this machine.
    pub(crate) fn system(message: impl Into<String>, cause: impl StdError) -> Self {
        Self::new(ExitKind::System, message).caused_by(&cause)
    }

    /// Adds `error` and its sources to the causes. A text that the cause before it contains is left
    /// out.
    pub(crate) fn caused_by(mut self, error: &dyn StdError) -> Self {
        let mut error = Some(error);
        while let Some(cause) = error {
            let text = cause.to_string();
            // Many errors of other crates quote their source in their own text.
            if self.causes.last().is_none_or(|last| !last.contains(&text)) {
                self.causes.push(text);
            }
            error = cause.source();
        }
        self
    }

    /// Adds a cause as text.
    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds a field that text and JSON output show, such as a request id.
    pub(crate) fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, Value::String(value.into())));
        self
    }

    /// Adds a field for JSON output whose value the message states already.
    pub(crate) fn data(mut self, name: &'static str, value: Value) -> Self {
        self.fields.push((name, value));
        self
    }

    /// Sets the help: what the user can do about the error.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Returns the document of JSON output.
    pub(crate) fn to_json(&self) -> Value {
        let mut document = json!({
            "error": self.message,
            "code": self.code,
            "causes": self.causes,
            "help": self.help,
            "exit_code": self.kind.exit_code(),
        });
        for (name, value) in &self.fields {
            document[name] = value.clone();
        }
        document
    }
}
