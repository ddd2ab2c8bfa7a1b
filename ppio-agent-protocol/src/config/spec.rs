//! The section `spec`.

use std::fmt;
use std::str::FromStr;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::agent_config_error::{AgentConfigError, set};
use super::cpu_limit::CpuLimit;
use super::entrypoint::{Entrypoint, InvalidEntrypoint};
use super::memory_limit::MemoryLimit;
use super::start_timeout::StartTimeout;
use crate::text;

/// The agent's entrypoint, resources and template.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "a section with `entrypoint`, such as `entrypoint: src/main.rs`")]
#[non_exhaustive]
pub struct AgentSpec {
    /// The file that the agent starts from.
    ///
    /// `None` (absent, `null` or blank) is a template that runs a start command of its own.
    /// `AgentConfig::from_yaml` (feature `yaml`) requires an entrypoint.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "deserialize_entrypoint"
    )]
    pub entrypoint: Option<Entrypoint>,
    /// The resources of the agent's sandboxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeSpec>,
    /// The template of the agent's sandboxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxSpec>,
    /// Fields that this version does not define.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The resources of an agent's sandboxes, which a build of the template fixes.
///
/// The platform chooses the value of an absent limit; the client chooses an absent `timeout`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "a section such as `timeout: 60`")]
#[non_exhaustive]
pub struct RuntimeSpec {
    /// How long the agent may take to start, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<StartTimeout>,
    /// The memory of a sandbox, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<MemoryLimit>,
    /// The processors of a sandbox, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<CpuLimit>,
    /// Fields that this version does not define.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The template of an agent's sandboxes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "a section such as `template_id: tmpl_abc123`")]
#[non_exhaustive]
pub struct SandboxSpec {
    /// The id of the template; absent before the first deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_id: Option<String>,
    /// Fields that this version does not define.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl AgentSpec {
    /// Creates a section with an entrypoint, such as `src/main.rs`; the platform chooses everything
    /// else.
    ///
    /// # Errors
    ///
    /// If the text is not an [`Entrypoint`].
    pub fn new<E>(entrypoint: E) -> Result<Self, AgentConfigError>
    where
        E: TryInto<Entrypoint, Error: fmt::Display>,
    {
        Ok(Self {
            entrypoint: Some(set("spec.entrypoint", entrypoint)?),
            ..Self::default()
        })
    }

    /// Sets the resources.
    pub fn with_runtime(mut self, runtime: RuntimeSpec) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Sets the template.
    pub fn with_sandbox(mut self, sandbox: SandboxSpec) -> Self {
        self.sandbox = Some(sandbox);
        self
    }
}

impl RuntimeSpec {
    /// Creates a section without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long the agent may take to start: seconds, or a [`Duration`](std::time::Duration).
    ///
    /// # Errors
    ///
    /// If `timeout` is not 1 to 3600 whole seconds.
    pub fn with_timeout<T>(mut self, timeout: T) -> Result<Self, AgentConfigError>
    where
        T: TryInto<StartTimeout, Error: fmt::Display>,
    {
        self.timeout = Some(set("spec.runtime.timeout", timeout)?);
        Ok(self)
    }

    /// Sets the memory of a sandbox: a text such as `512Mi`, or a [`ByteSize`](crate::ByteSize).
    ///
    /// # Errors
    ///
    /// If `memory_limit` is not a size above zero.
    pub fn with_memory_limit<M>(mut self, memory_limit: M) -> Result<Self, AgentConfigError>
    where
        M: TryInto<MemoryLimit, Error: fmt::Display>,
    {
        self.memory_limit = Some(set("spec.runtime.memory_limit", memory_limit)?);
        Ok(self)
    }

    /// Sets the processors of a sandbox: a text such as `1` or `500m`.
    ///
    /// # Errors
    ///
    /// If `cpu_limit` is not a number of processors above zero.
    pub fn with_cpu_limit<C>(mut self, cpu_limit: C) -> Result<Self, AgentConfigError>
    where
        C: TryInto<CpuLimit, Error: fmt::Display>,
    {
        self.cpu_limit = Some(set("spec.runtime.cpu_limit", cpu_limit)?);
        Ok(self)
    }
}

impl SandboxSpec {
    /// Creates a section with a template.
    pub fn new(template_id: impl Into<String>) -> Self {
        Self {
            template_id: Some(template_id.into()),
            extra: Map::new(),
        }
    }
}

/// Reads an absent, `null` or blank entrypoint as `None`.
fn deserialize_entrypoint<'de, D>(deserializer: D) -> Result<Option<Entrypoint>, D::Error>
where
    D: Deserializer<'de>,
{
    struct BlankOrEntrypoint(Option<Entrypoint>);

    impl FromStr for BlankOrEntrypoint {
        type Err = InvalidEntrypoint;

        fn from_str(text: &str) -> Result<Self, Self::Err> {
            match text.trim() {
                "" => Ok(Self(None)),
                _ => text.parse().map(Some).map(Self),
            }
        }
    }

    impl<'de> Deserialize<'de> for BlankOrEntrypoint {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            text::deserialize(deserializer, "a file such as `agent.py` or `src/main.rs`")
        }
    }

    let entrypoint = Option::<BlankOrEntrypoint>::deserialize(deserializer)?;
    Ok(entrypoint.and_then(|BlankOrEntrypoint(entrypoint)| entrypoint))
}
