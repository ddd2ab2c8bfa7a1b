//! The events of `agent deploy`: with JSON output, one line per event. The line `deployed` is not
//! among them, because that is the command's result.

use cargo_metadata::diagnostic::DiagnosticLevel;
use serde::Serialize;
use serde_json::Value;

use super::bundle::LeftOutFile;
use super::comparison::Change;

/// An event of a deployment. The names of events and fields are a contract with the programs that
/// read them.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum DeployEvent<'a> {
    /// Sent before cargo is started; the target is a triple or `host`.
    Compiling { target: &'a str },
    /// A message of the compiler, as it looks on a terminal.
    Compiler {
        level: DiagnosticLevel,
        message: &'a str,
    },
    /// The program was built; the duration is in seconds.
    Compiled { duration: f64 },
    /// The files and folders that are not sent for a reason other than `.dockerignore`, if there
    /// are any.
    LeftOut { files: &'a [LeftOutFile] },
    /// A warning; the deployment continues.
    Warning { message: &'a str },
    /// The API was compared with that of the deployed agent, or could not be. Not sent if no agent
    /// of this name is deployed.
    Api(ApiReport<'a>),
    /// The platform has created the template and the build.
    Deploying {
        name: &'a str,
        version: &'a str,
        platform: &'a str,
        template_id: &'a str,
        build_id: &'a str,
    },
    /// The number of bytes sent so far, twice a second.
    Uploading { files: usize, bytes: u64, sent: u64 },
    /// The platform has the files; `reused` if the platform had them before this deployment.
    Uploaded {
        files: usize,
        bytes: u64,
        reused: bool,
    },
    /// The build was started.
    Building { steps: Vec<String> },
    /// The build has reached a step, counted from 1.
    Step { step: usize, command: &'a str },
    /// A line of the build's log.
    Log(LogLine),
    /// The deployment failed. The same document is printed to standard error.
    Failed {
        #[serde(flatten)]
        failure: Value,
    },
}

/// The result of the comparison of the APIs.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct ApiReport<'a> {
    pub(super) compared: bool,
    /// The reason why the API was not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
    pub(super) changes: &'a [Change],
}

/// A line of a build's log, with the fields that the platform sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct LogLine {
    /// The time of the line, in RFC 3339 format.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) timestamp: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) level: String,
    /// The step that the line belongs to, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) step: Option<usize>,
    pub(super) message: String,
}
