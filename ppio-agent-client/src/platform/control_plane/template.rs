//! Templates in responses of the control plane.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::platform::json::null_is_empty;

/// A template, from which sandboxes are created.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Template {
    /// The template's id.
    #[serde(rename = "templateID")]
    pub template_id: String,
    /// The id of the template's current build.
    #[serde(rename = "buildID")]
    pub build_id: String,
    /// The template's names; on some platforms with the owner before a slash.
    #[serde(deserialize_with = "null_is_empty")]
    pub names: Vec<String>,
    /// The template's aliases.
    #[serde(deserialize_with = "null_is_empty")]
    pub aliases: Vec<String>,
    /// The template's tags, if the platform sends them.
    #[serde(deserialize_with = "null_is_empty")]
    pub tags: Vec<String>,
    /// The number of processors of the template's sandboxes.
    pub cpu_count: Option<u32>,
    /// Memory of the template's sandboxes, in mebibytes.
    #[serde(rename = "memoryMB")]
    pub memory_mb: Option<u64>,
    /// Disk of the template's sandboxes, in mebibytes.
    #[serde(rename = "diskSizeMB")]
    pub disk_size_mb: Option<u64>,
    /// Whether other accounts may use the template.
    pub public: bool,
    /// When the template was created, as RFC 3339.
    pub created_at: Option<String>,
    /// When the template was last changed, as RFC 3339.
    pub updated_at: Option<String>,
    /// The template's creator: `{id, email}`.
    pub created_by: Option<Value>,
    /// When a sandbox was last created from the template, as RFC 3339.
    pub last_spawned_at: Option<String>,
    /// The number of sandboxes created from the template.
    pub spawn_count: Option<u64>,
    /// The number of the template's builds.
    pub build_count: Option<u64>,
    /// The version of envd in the template.
    pub envd_version: Option<String>,
    /// The status of the template's last build.
    pub build_status: Option<String>,
    /// The template's metadata; an agent's configuration is under `agent_runtime`.
    #[serde(deserialize_with = "null_is_empty")]
    pub metadata: Map<String, Value>,
    /// The template's builds, in the response for a single template.
    #[serde(deserialize_with = "null_is_empty")]
    pub builds: Vec<TemplateBuild>,
}

/// One build of a template.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TemplateBuild {
    /// The build's id.
    #[serde(rename = "buildID")]
    pub build_id: String,
    /// The build's status.
    pub status: String,
    /// When the build started, as RFC 3339.
    pub created_at: Option<String>,
    /// When the build finished, as RFC 3339.
    pub finished_at: Option<String>,
}

/// The template of an alias.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct TemplateAlias {
    /// The id of the template.
    #[serde(rename = "templateID")]
    pub template_id: String,
    /// Whether other accounts may use the template.
    #[serde(default)]
    pub public: bool,
}
