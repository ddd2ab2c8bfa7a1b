//! How a command ends badly.

use std::error::Error as StdError;

use serde_json::{Value, json};

/// Whose fault it was; scripts read it from the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The agent answered with an error, crashed, or does not compile: exit code 1.
    Agent,
    /// The command line, agent.yaml or the project is wrong: exit code 2, as clap's.
    Usage,
    /// The platform refused, failed or is not there: exit code 3.
    Platform,
    /// This machine: a file that cannot be written, a program that is missing: exit code 4.
    System,
    /// Ctrl-C: exit code 130, as shells have it.
    Interrupted,
    /// SIGTERM or SIGHUP: exit code 143.
    Terminated,
    /// Nobody reads the output any more, as in `… | head`: no error at all, exit code 0.
    Unread,
}

impl Fault {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Agent => 1,
            Self::Usage => 2,
            Self::Platform => 3,
            Self::System => 4,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::Unread => 0,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Usage => "usage",
            Self::Platform => "platform",
            Self::System => "system",
            Self::Interrupted | Self::Terminated => "interrupted",
            Self::Unread => "unread",
        }
    }
}

/// What failed, why, and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    /// The kind of failure, for programs.
    pub(crate) code: &'static str,
    pub(crate) what: String,
    pub(crate) why: Vec<String>,
    /// Texts are for everybody, other values for programs only.
    pub(crate) facts: Vec<(&'static str, Value)>,
    pub(crate) next: Option<String>,
}

impl Failure {
    pub(crate) fn new(fault: Fault, what: impl Into<String>) -> Self {
        Self {
            fault,
            code: fault.code(),
            what: what.into(),
            why: Vec::new(),
            facts: Vec::new(),
            next: None,
        }
    }

    /// An error of this machine.
    pub(crate) fn system(what: impl Into<String>, why: impl StdError) -> Self {
        Self::new(Fault::System, what).because(&why)
    }

    /// Adds an error and what caused it, outermost first.
    pub(crate) fn because(mut self, error: &dyn StdError) -> Self {
        let mut error = Some(error);
        while let Some(cause) = error {
            let text = cause.to_string();
            // Many errors quote their cause already.
            if self.why.last().is_none_or(|last| !last.contains(&text)) {
                self.why.push(text);
            }
            error = cause.source();
        }
        self
    }

    /// Adds a reason in words.
    pub(crate) fn reason(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// Adds something to look the failure up by, such as a request id. Scripts read it under its name.
    pub(crate) fn fact(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.facts.push((name, Value::String(value.into())));
        self
    }

    /// Adds something that the words say already, for programs to read under its name.
    pub(crate) fn datum(mut self, name: &'static str, value: Value) -> Self {
        self.facts.push((name, value));
        self
    }

    /// All of it, as programs get it.
    pub(crate) fn document(&self) -> Value {
        let mut document = json!({
            "error": self.what,
            "code": self.code,
            "causes": self.why,
            "help": self.next,
            "exit_code": self.fault.exit_code(),
        });
        for (name, value) in &self.facts {
            document[name] = value.clone();
        }
        document
    }

    /// Adds what to do next.
    pub(crate) fn next(mut self, remedy: impl Into<String>) -> Self {
        self.next = Some(remedy.into());
        self
    }
}
