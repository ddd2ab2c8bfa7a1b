//! What happens on the way to a deployed agent, for programs: with JSON output each is a line as soon as it happens.

use cargo_metadata::diagnostic::DiagnosticLevel;
use serde::Serialize;
use serde_json::Value;

use crate::deploy::bundle::LeftOut;

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum DeployEvent<'a> {
    /// Cargo begins; the target is a triple or `host`.
    Compiling { target: &'a str },
    /// Cargo or the compiler has something to say, as it would on a terminal.
    Compiler {
        level: DiagnosticLevel,
        message: &'a str,
    },
    /// The program is there; in seconds.
    Compiled { duration: f64 },
    /// Files and folders of the project that are not sent; only if there are any.
    LeftOut { files: &'a [LeftOut] },
    /// Nothing that stops the deployment.
    Warning { message: &'a str },
    /// The platform has the agent's name, and a build of it.
    Deploying {
        name: &'a str,
        version: &'a str,
        platform: &'a str,
        template_id: &'a str,
        build_id: &'a str,
    },
    /// So many bytes of all have gone out; told again and again.
    Uploading { files: usize, bytes: u64, sent: u64 },
    /// The platform has the files, from before if they are reused.
    Uploaded {
        files: usize,
        bytes: u64,
        reused: bool,
    },
    /// The platform begins.
    Building { steps: Vec<String> },
    /// It has come to this step, counted from 1.
    Step { step: usize, command: &'a str },
    /// A line of the build's log.
    Log(LogLine),
    /// All has ended badly. What standard error gets says the same.
    Failed {
        #[serde(flatten)]
        failure: Value,
    },
}

/// A line of a build's log, as far as the platform tells about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LogLine {
    /// When, RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) timestamp: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) level: String,
    /// Counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<usize>,
    pub(crate) message: String,
}
