//! What travels between a PPIO agent, its platform and its callers.
//!
//! Models, identifiers, event streams and names, and nothing that opens a socket: the runtime and the client
//! both build on this crate, and neither links the other.
//!
//! | what | where |
//! | --- | --- |
//! | `agent.yaml`, and the same document in a template's metadata | [`AgentConfig`] |
//! | `POST /invocations` | [`InvocationRequest`], [`InvocationResponse`] |
//! | streamed answers | [`sse`], [`ErrorItem`] |
//! | `GET /ping` | [`PingResponse`], [`PingStatus`] |
//! | what callers name an agent by | [`AgentId`] |
//! | header names and ports | [`headers`] |
//! | sizes such as `512Mi` | [`ByteSize`] |
//!
//! Three rules hold everywhere. Writing is exact, reading is lenient where other programs are known to
//! differ. A value that has been read is valid: names, sizes and paths are types of their own, and their errors say
//! what to write instead. Fields this version does not know are kept.
//!
//! # Features
//! - `schema` (off by default): `schemars::JsonSchema` for [`InvocationRequest`].
//! - `yaml` (off by default): `AgentConfig::from_yaml` and `to_yaml`. Only tools that touch an author's files need it.

mod agent_id;
mod byte_size;
mod config;
mod error_item;
pub mod headers;
mod invocation;
mod ping;
pub mod sse;
mod text;

pub use agent_id::{AgentId, InvalidAgentId};
pub use byte_size::{ByteSize, InvalidByteSize};
pub use config::{
    AgentConfig, AgentMetadata, AgentName, AgentSpec, AgentStatus, ApiVersion, AuthorEmail,
    ConfigError, CpuLimit, DeploymentPhase, Entrypoint, InvalidAgentName, InvalidAuthorEmail,
    InvalidCpuLimit, InvalidEntrypoint, InvalidMemoryLimit, InvalidStartTimeout, Kind, MemoryLimit,
    RuntimeSpec, SandboxSpec, StartTimeout, TEMPLATE_METADATA_KEY, UnsupportedDocument,
};
pub use error_item::ErrorItem;
pub use invocation::{InvocationRequest, InvocationResponse, InvocationStatus};
pub use ping::{PingResponse, PingStatus, UnknownPingStatus};
