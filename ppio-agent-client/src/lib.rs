//! Client for agents deployed on PPIO: sessions, invocation, streaming, and the platform under
//! them.
//!
//! ```no_run
//! use std::time::Duration;
//! use ppio_agent_client::AgentRuntimeClient;
//! use serde_json::json;
//!
//! # async fn run() -> Result<(), ppio_agent_client::Error> {
//! let client = AgentRuntimeClient::from_env()?;
//!
//! // One question, in a session of its own.
//! let answer = client.invoke_agent("tmpl_1", json!({"prompt": "hi"})).await?;
//!
//! // A conversation.
//! let session = client.create_session("tmpl_1").timeout(Duration::from_secs(1800)).await?;
//! let mut story = session.invoke_stream("tell me a story").await?;
//! while let Some(item) = story.next().await {
//!     println!("{}", item?);
//! }
//! session.pause().await?;
//! session.resume().await?;
//! session.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! | what | where |
//! | --- | --- |
//! | make sessions, find them again, call agents | [`AgentRuntimeClient`] |
//! | one sandbox with an agent in it | [`SandboxSession`] |
//! | an answer item by item | [`InvocationStream`] |
//! | what can go wrong, and what to do about it | [`Error`] |
//! | limits, addresses | [`ClientConfig`], [`SandboxConfig`] |
//! | the control plane and the daemon in each sandbox, for any E2B-compatible platform | [`platform`] |
//!
//! # Environment
//! `PPIO_API_KEY`, `PPIO_ACCESS_TOKEN`, `PPIO_DOMAIN`, `PPIO_API_URL`, `PPIO_SANDBOX_URL` and
//! `PPIO_DEBUG`, and the same names with `E2B_` where those are not set. `HTTPS_PROXY`,
//! `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; `SSL_CERT_FILE` and `SSL_CERT_DIR`.

mod auth;
mod background;
mod client;
mod config;
mod environment;
mod error;
mod invocation;
pub mod platform;
mod secret;
mod session;
mod templates;
mod transport;

pub use auth::AuthManager;
pub use client::{
    AgentRuntimeAnswer, AgentRuntimeClient, ClientBuilder, CreateSession, InvokeAgentRuntime,
};
pub use config::ClientConfig;
pub use error::{Error, NetworkError, NetworkErrorKind};
pub use invocation::{
    Answer, AnswerKind, Auto, Envelope, InvocationStream, Invoke, Streamed, Typed,
};
pub use secret::Secret;
pub use session::{SandboxConfig, SandboxSession, SessionStatus};
pub use templates::{AgentTemplate, RuntimeInfo, TemplateFilter, TemplateManager};

pub use ppio_agent_protocol::{
    AgentConfig, AgentId, CpuLimit, InvocationRequest, InvocationResponse, InvocationStatus,
    MemoryLimit, PingResponse, PingStatus,
};
