//! The wire formats between a PPIO agent, its platform and its callers.
//!
//! This crate has models, identifiers, event streams and names, and no I/O except reading
//! environment variables. The runtime and the client are built on it, and neither links the other.
//!
//! | format | type |
//! | --- | --- |
//! | `agent.yaml`, and the same document in a template's metadata | [`AgentConfig`] |
//! | the bodies of `POST /invocations` | [`InvocationRequest`], [`InvocationResponse`] |
//! | messages, tools and events of a chat | [`ChatMessage`], [`ChatTool`], [`ChatEvent`] |
//! | the format of a response's body | [`ResponseFormat`] |
//! | event streams, and their error item | [`sse`], [`ErrorItem`] |
//! | the body of `GET /ping` | [`PingResponse`], [`PingStatus`] |
//! | the state of a run: an invocation that an agent keeps | [`RunStatus`] |
//! | the id of a deployed agent | [`AgentId`] |
//! | header names and ports | [`headers`] |
//! | host names, and which of them name this machine | [`host`] |
//! | sizes such as `512Mi` | [`ByteSize`] |
//! | environment variables | [`environment`] |
//!
//! Three rules apply:
//!
//! - Writing is exact; reading is lenient where other programs are known to differ.
//! - A value that was read is valid. Names, sizes and paths have types of their own, and their
//!   errors contain what to write instead.
//! - Fields that this version does not define are kept in `extra`, in every type with that field.
//!
//! # Features
//!
//! - `schema` (off by default): `schemars::JsonSchema` for [`InvocationRequest`] and the types of
//!   chats.
//! - `yaml` (off by default): `AgentConfig::from_yaml`, `AgentConfig::to_yaml` and the module
//!   `yaml`. A running agent does not need it.

mod agent_id;
mod byte_size;
mod chat;
mod config;
pub mod environment;
mod error_item;
pub mod headers;
pub mod host;
mod invocation;
mod ping;
mod run_status;
pub mod sse;
mod text;
#[cfg(feature = "yaml")]
pub mod yaml;

pub use agent_id::{AgentId, InvalidAgentId};
pub use byte_size::{ByteSize, InvalidByteSize};
#[doc(hidden)]
pub use chat::CHAT_EVENT_NAME;
pub use chat::{
    ChatEvent, ChatMessage, ChatPart, ChatRole, ChatTool, FinishReason, InterruptResponse,
    InterruptStatus, ToolCall,
};
pub use config::{
    AgentConfig, AgentConfigError, AgentMetadata, AgentName, AgentSpec, AgentStatus, ApiVersion,
    AuthorEmail, CpuLimit, DeploymentPhase, DocumentKind, Entrypoint, InvalidAgentName,
    InvalidAuthorEmail, InvalidCpuLimit, InvalidDeploymentPhase, InvalidEntrypoint,
    InvalidMemoryLimit, InvalidStartTimeout, InvalidTimestamp, MemoryLimit, RuntimeSpec,
    SandboxSpec, StartTimeout, TEMPLATE_METADATA_KEY, Timestamp, UnsupportedDocument,
};
pub use error_item::{AGENT_RESTARTED, ErrorItem, START_COMMAND_ENDED};
#[doc(hidden)]
pub use invocation::ENVELOPE_NAME;
pub use invocation::{
    InvalidResponseFormat, InvocationRequest, InvocationResponse, InvocationStatus, ResponseFormat,
};
pub use ping::{InvalidPingStatus, PingResponse, PingStatus};
pub use run_status::{InvalidRunStatus, RunStatus};
// Public signatures of this crate use types of these crates.
#[doc(no_inline)]
pub use {bytes, serde_json};

/// Tests the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
