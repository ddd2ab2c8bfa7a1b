//! Templates, as the control plane describes them.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::sandbox::null_is_empty;

/// What sandboxes are made from.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Template {
    /// Its id.
    #[serde(rename = "templateID")]
    pub template_id: String,
    /// The build it is at.
    #[serde(rename = "buildID")]
    pub build_id: String,
    /// Its names, with the owner's before a slash on some platforms.
    #[serde(deserialize_with = "null_is_empty")]
    pub names: Vec<String>,
    /// Other names that stand for it.
    #[serde(deserialize_with = "null_is_empty")]
    pub aliases: Vec<String>,
    /// Tags, where the platform lists them.
    #[serde(deserialize_with = "null_is_empty")]
    pub tags: Vec<String>,
    /// Processors of its sandboxes.
    pub cpu_count: Option<u32>,
    /// Memory of its sandboxes, in mebibytes.
    #[serde(rename = "memoryMB")]
    pub memory_mb: Option<u64>,
    /// Disk of its sandboxes, in mebibytes.
    #[serde(rename = "diskSizeMB")]
    pub disk_size_mb: Option<u64>,
    /// Whether others may use it.
    pub public: bool,
    /// When it was made, RFC 3339.
    pub created_at: Option<String>,
    /// When it was last changed, RFC 3339.
    pub updated_at: Option<String>,
    /// Who made it: `{id, email}`.
    pub created_by: Option<Value>,
    /// When a sandbox was last made from it, RFC 3339.
    pub last_spawned_at: Option<String>,
    /// How many sandboxes were made from it.
    pub spawn_count: Option<u64>,
    /// How many builds it had.
    pub build_count: Option<u64>,
    /// The version of the daemon in it.
    pub envd_version: Option<String>,
    /// How its last build went.
    pub build_status: Option<String>,
    /// Texts stored with it; an agent's configuration is under `agent_runtime`.
    #[serde(deserialize_with = "null_is_empty")]
    pub metadata: Map<String, Value>,
    /// Its builds, where one template was asked for.
    #[serde(deserialize_with = "null_is_empty")]
    pub builds: Vec<TemplateBuild>,
}

/// One build of a template.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TemplateBuild {
    /// Its id.
    #[serde(rename = "buildID")]
    pub build_id: String,
    /// How it went.
    pub status: String,
    /// When it began, RFC 3339.
    pub created_at: Option<String>,
    /// When it ended, RFC 3339.
    pub finished_at: Option<String>,
}

/// What an alias stands for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct TemplateAlias {
    /// The template.
    #[serde(rename = "templateID")]
    pub template_id: String,
    /// Whether others may use it.
    #[serde(default)]
    pub public: bool,
}
