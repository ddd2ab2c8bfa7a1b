//! `agent.yaml`: an agent's name, requirements and last deployment.

mod agent_config;
mod agent_config_error;
mod agent_name;
mod author_email;
mod cpu_limit;
mod document_kind;
mod entrypoint;
mod json;
mod memory_limit;
mod metadata;
mod spec;
mod start_timeout;
mod status;
mod timestamp;
#[cfg(feature = "yaml")]
mod yaml;

pub use agent_config::AgentConfig;
pub use agent_config_error::AgentConfigError;
pub use agent_name::{AgentName, InvalidAgentName};
pub use author_email::{AuthorEmail, InvalidAuthorEmail};
pub use cpu_limit::{CpuLimit, InvalidCpuLimit};
pub use document_kind::{ApiVersion, DocumentKind, UnsupportedDocument};
pub use entrypoint::{Entrypoint, InvalidEntrypoint};
pub use json::TEMPLATE_METADATA_KEY;
pub use memory_limit::{InvalidMemoryLimit, MemoryLimit};
pub use metadata::AgentMetadata;
pub use spec::{AgentSpec, RuntimeSpec, SandboxSpec};
pub use start_timeout::{InvalidStartTimeout, StartTimeout};
pub use status::{AgentStatus, DeploymentPhase, InvalidDeploymentPhase};
pub use timestamp::{InvalidTimestamp, Timestamp};
