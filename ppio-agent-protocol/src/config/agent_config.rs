//! The document as a whole.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::document_kind::{ApiVersion, DocumentKind};
use super::metadata::AgentMetadata;
use super::spec::AgentSpec;
use super::status::AgentStatus;

/// An agent's configuration: `agent.yaml`, or the same document as JSON in the metadata of the
/// template that was built from `agent.yaml`.
///
/// Values are checked while they are read. Unknown keys are kept in the `extra` map of their
/// section. Reading and writing loses comments, the order of keys, the spelling of sizes, and
/// defined fields that are `null`.
///
/// ```
/// use ppio_agent_protocol::AgentConfig;
///
/// let config = AgentConfig::from_json(r#"{
///     "apiVersion": "v1",
///     "kind": "Agent",
///     "metadata": {"name": "my-agent", "version": "1.0.0", "author": "developer@example.com"},
///     "spec": {"entrypoint": "src/main.rs", "runtime": {"timeout": 60, "memory_limit": "1Gi"}}
/// }"#)?;
/// assert_eq!(config.metadata.name.as_str(), "my-agent");
/// let runtime = config.spec.runtime.unwrap();
/// assert_eq!(runtime.memory_limit.unwrap().mebibytes(), 1024);
///
/// let error = AgentConfig::from_json(r#"{
///     "metadata": {"name": "My Agent"}
/// }"#).unwrap_err();
/// assert_eq!(error.path(), Some("metadata.name"));
/// assert_eq!(error.line(), Some(2));
/// # Ok::<(), ppio_agent_protocol::AgentConfigError>(())
/// ```
///
/// In code, a method that takes a value with rules checks the value at once:
///
/// ```
/// use ppio_agent_protocol::{AgentConfig, AgentMetadata, AgentSpec, RuntimeSpec, SandboxSpec};
///
/// let runtime = RuntimeSpec::new().with_timeout(60)?.with_memory_limit("1Gi")?.with_cpu_limit("1")?;
/// let config = AgentConfig::new(
///     AgentMetadata::new("my-agent", "1.0.0", "developer@example.com")?
///         .with_description("An agent")
///         .with_created("2024-01-15T10:30:00Z")?,
///     AgentSpec::new("src/main.rs")?
///         .with_runtime(runtime)
///         .with_sandbox(SandboxSpec::new("tmpl_abc123")),
/// );
/// # let _ = config;
///
/// let error = RuntimeSpec::new().with_memory_limit("lots").unwrap_err();
/// assert_eq!(error.path(), Some("spec.runtime.memory_limit"));
/// # Ok::<(), ppio_agent_protocol::AgentConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(expecting = "a document with `metadata` and `spec`")]
#[non_exhaustive]
pub struct AgentConfig {
    /// The version of the format; `v1` if absent.
    #[serde(default)]
    pub api_version: ApiVersion,
    /// The kind of the document; `Agent` if absent.
    #[serde(default)]
    pub kind: DocumentKind,
    /// The agent's name, version and author.
    pub metadata: AgentMetadata,
    /// The agent's entrypoint, resources and template.
    pub spec: AgentSpec,
    /// The last deployment; absent before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<AgentStatus>,
    /// Fields that this version does not define.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl AgentConfig {
    /// Creates the document of an agent that has not been deployed yet.
    pub fn new(metadata: AgentMetadata, spec: AgentSpec) -> Self {
        Self {
            api_version: ApiVersion::V1,
            kind: DocumentKind::Agent,
            metadata,
            spec,
            status: None,
            extra: Map::new(),
        }
    }

    /// Sets the last deployment.
    pub fn with_status(mut self, status: AgentStatus) -> Self {
        self.status = Some(status);
        self
    }
}
