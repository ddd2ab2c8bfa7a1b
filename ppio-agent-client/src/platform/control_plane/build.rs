//! Builds of templates in requests and responses of the control plane.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::platform::json::null_is_empty;

/// A template to create; [`NewBuild`] defines its contents.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTemplate {
    /// The template's name, with an optional tag: `my-agent` or `my-agent:v2`.
    pub name: String,
    /// Further tags of this build.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The number of processors of the template's sandboxes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_count: Option<u32>,
    /// The memory of the template's sandboxes, in mebibytes.
    #[serde(rename = "memoryMB", skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
    /// The template's metadata, if the platform accepts metadata in this call; an agent's
    /// configuration is under `agent_runtime`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// A created template and its build, which has not started.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct BuildTicket {
    /// The id of the template.
    #[serde(rename = "templateID")]
    pub template_id: String,
    /// The id of the build.
    #[serde(rename = "buildID")]
    pub build_id: String,
    /// The template's names.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub names: Vec<String>,
    /// The template's aliases.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub aliases: Vec<String>,
    /// The tags of this build.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub tags: Vec<String>,
    /// Whether other accounts may use the template.
    #[serde(default)]
    pub public: bool,
}

/// Whether the platform has the files of a step, and where to upload them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FileUpload {
    /// Whether the platform has the files.
    #[serde(default)]
    pub present: bool,
    /// The URL to upload the files to.
    #[serde(default)]
    pub url: Option<String>,
}

/// The contents of a template.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewBuild {
    /// The container image to start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_image: Option<String>,
    /// The template to start from, instead of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_template: Option<String>,
    /// The steps, in order.
    pub steps: Vec<BuildStep>,
    /// The command that every sandbox runs when it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_cmd: Option<String>,
    /// The command that succeeds when the start command is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_cmd: Option<String>,
    /// Whether to ignore the cache of earlier builds.
    pub force: bool,
    /// The template's metadata, if the platform accepts metadata in this call.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// A step of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildStep {
    /// The kind of the step.
    #[serde(rename = "type")]
    pub kind: StepKind,
    /// The arguments of the step, as in a Dockerfile.
    pub args: Vec<String>,
    /// The hash of the step's uploaded files, for `COPY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_hash: Option<String>,
    /// Whether to ignore the cache of earlier builds for this step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
}

/// The kind of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StepKind {
    /// Copies files.
    Copy,
    /// Runs a command.
    Run,
    /// Sets environment variables.
    Env,
    /// Changes the working directory of later steps.
    Workdir,
    /// Changes the user of later steps.
    User,
}

/// The status of a build.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BuildStatus {
    /// The phase of the build.
    pub status: BuildPhase,
    /// The log from the requested offset on.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub log_entries: Vec<BuildLog>,
    /// The log as plain lines.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub logs: Vec<String>,
    /// Why the build failed.
    #[serde(default)]
    pub reason: Option<BuildReason>,
}

/// Selects lines of a build's log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildLogQuery {
    /// The first line.
    pub offset: u64,
    /// The maximum number of lines.
    pub limit: Option<u32>,
    /// The lowest level: `debug`, `info`, `warn`, `error`.
    pub level: Option<String>,
}

/// The phase of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildPhase {
    /// The build has not started.
    Waiting,
    /// The build is running.
    Building,
    /// The build succeeded, and sandboxes can be created.
    Ready,
    /// The build failed.
    Error,
    /// A phase that this version does not define.
    Other(String),
}

impl<'de> Deserialize<'de> for BuildPhase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(match word.as_str() {
            "waiting" => Self::Waiting,
            "building" => Self::Building,
            "ready" => Self::Ready,
            "error" => Self::Error,
            _ => Self::Other(word),
        })
    }
}

/// A line of a build's log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct BuildLog {
    /// The time, RFC 3339.
    pub timestamp: String,
    /// The level.
    pub level: String,
    /// The text.
    pub message: String,
    /// The step that the line belongs to.
    pub step: Option<String>,
}

/// Why a build failed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct BuildReason {
    /// The error text.
    pub message: String,
    /// The step that failed.
    pub step: Option<String>,
}
