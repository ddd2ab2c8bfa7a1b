//! The document and its sections.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    AgentName, AgentStatus, AuthorEmail, CpuLimit, Entrypoint, InvalidEntrypoint, MemoryLimit,
    StartTimeout,
};
use crate::text;

/// An agent's configuration: the document `agent.yaml`, and the same document as JSON in the metadata of
/// the template that was built from it.
///
/// Values are checked while they are read. Unknown keys are kept in the `extra` map of their section, so that
/// reading and writing loses nothing but comments and the order of keys.
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
/// # Ok::<(), ppio_agent_protocol::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(expecting = "a document with `metadata` and `spec`")]
pub struct AgentConfig {
    /// The version of the format; `v1` if absent.
    #[serde(default)]
    pub api_version: ApiVersion,
    /// The kind of document; `Agent` if absent.
    #[serde(default)]
    pub kind: Kind,
    /// Who the agent is.
    pub metadata: AgentMetadata,
    /// What the agent needs.
    pub spec: AgentSpec,
    /// Where the agent was deployed, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<AgentStatus>,
    /// Every other field, kept as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Who an agent is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "a section with `name`, `version` and `author`")]
pub struct AgentMetadata {
    /// Its name.
    pub name: AgentName,
    /// Its version, in whatever scheme its author likes.
    #[serde(deserialize_with = "version")]
    pub version: String,
    /// Its author's e-mail address.
    pub author: AuthorEmail,
    /// What it does, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was created, ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Every other field, kept as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What an agent needs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "a section with `entrypoint`, such as `entrypoint: src/main.rs`")]
pub struct AgentSpec {
    /// The file it starts from.
    ///
    /// `None` (absent, `null` or blank) exists on the platform: a template that runs its own start command.
    /// `AgentConfig::from_yaml` (feature `yaml`) refuses it, since an author has to say what to run.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "entrypoint"
    )]
    pub entrypoint: Option<Entrypoint>,
    /// Resources of its sandboxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeSpec>,
    /// The template of its sandboxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxSpec>,
    /// Every other field, kept as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The resources of an agent's sandboxes, fixed when its template is built. What is absent is the platform's choice.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "a section such as `timeout: 60`")]
pub struct RuntimeSpec {
    /// How long it may take to start, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<StartTimeout>,
    /// How much memory it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<MemoryLimit>,
    /// How much processor time it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<CpuLimit>,
    /// Every other field, kept as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The template of an agent's sandboxes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "a section such as `template_id: tmpl_abc123`")]
pub struct SandboxSpec {
    /// The template's id, once deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_id: Option<String>,
    /// Every other field, kept as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The version of the document's format. There is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[non_exhaustive]
pub enum ApiVersion {
    /// `v1`
    #[default]
    #[serde(rename = "v1")]
    V1,
}

/// The kind of a document. There is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[non_exhaustive]
pub enum Kind {
    /// `Agent`
    #[default]
    Agent,
}

impl AgentConfig {
    /// A document that has not been deployed yet.
    pub fn new(metadata: AgentMetadata, spec: AgentSpec) -> Self {
        Self {
            api_version: ApiVersion::V1,
            kind: Kind::Agent,
            metadata,
            spec,
            status: None,
            extra: Map::new(),
        }
    }
}

impl AgentMetadata {
    /// The fields that must be there.
    pub fn new(name: AgentName, version: impl Into<String>, author: AuthorEmail) -> Self {
        Self {
            name,
            version: version.into(),
            author,
            description: None,
            created: None,
            extra: Map::new(),
        }
    }
}

impl AgentSpec {
    /// An agent that starts from this file, with the platform's choice of everything else.
    pub fn new(entrypoint: Entrypoint) -> Self {
        Self {
            entrypoint: Some(entrypoint),
            ..Self::default()
        }
    }
}

impl<'de> Deserialize<'de> for ApiVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "`v1`")
    }
}

impl FromStr for ApiVersion {
    type Err = UnsupportedDocument;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "v1" => Ok(Self::V1),
            _ => Err(UnsupportedDocument {
                found: text::excerpt(text),
                expected: "v1",
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "`Agent`")
    }
}

impl FromStr for Kind {
    type Err = UnsupportedDocument;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "Agent" => Ok(Self::Agent),
            _ => Err(UnsupportedDocument {
                found: text::excerpt(text),
                expected: "Agent",
            }),
        }
    }
}

/// A document of another version or kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not supported, write `{expected}`")]
pub struct UnsupportedDocument {
    found: String,
    expected: &'static str,
}

/// `version: 1.0` is a number in YAML, and `1.10` would lose its zero.
fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Version;

    impl Visitor<'_> for Version {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a version in quotes, such as \"1.0.0\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            if text.trim().is_empty() {
                return Err(E::custom(
                    "the version is empty, write one such as \"1.0.0\"",
                ));
            }
            Ok(text.to_owned())
        }
    }

    deserializer.deserialize_any(Version)
}

/// An entrypoint, or nothing: see [`AgentSpec::entrypoint`].
fn entrypoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Entrypoint>, D::Error> {
    struct Blank(Option<Entrypoint>);

    impl FromStr for Blank {
        type Err = InvalidEntrypoint;

        fn from_str(text: &str) -> Result<Self, Self::Err> {
            match text.trim() {
                "" => Ok(Self(None)),
                _ => text.parse().map(Some).map(Self),
            }
        }
    }

    impl<'de> Deserialize<'de> for Blank {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            text::deserialize(deserializer, "a file such as `agent.py` or `src/main.rs`")
        }
    }

    Ok(Option::<Blank>::deserialize(deserializer)?.and_then(|Blank(entrypoint)| entrypoint))
}
