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
//! let mut story = session.invoke("tell me a story").stream().await?;
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
//! A Tokio runtime with I/O and time enabled has to be there; any kind will do.
//!
//! # Retries
//! What is known to be safe is tried again, up to [`max_retries`](ClientConfig::max_retries) times, after
//! pauses that double and are drawn at random, so that clients that failed together do not come back
//! together. A `Retry-After` is believed, in seconds and as a date.
//!
//! | call | tried again after |
//! | --- | --- |
//! | reads, and what has the same effect done twice (kill, pause, resume, refresh, …) | broken connections, 429, 500, 502, 503, 504 |
//! | making a sandbox, a template, a build | connections that could not be made, 429, 503: nothing was done |
//! | invocations, a process's input | connections that could not be made, or were closed before a byte was written |
//!
//! So an invocation that may have reached the agent is never sent twice; whether to ask again is for the
//! caller to know. [`Error::is_retryable`] tells what can be tried again without doing anything twice.
//!
//! # Deadlines
//! Every call has one deadline for all its attempts and the pauses between them:
//! [`ClientConfig::timeout`], or the call's own ([`Invoke::timeout`]). A pause that would outlast it is
//! not begun; the failure at hand is told instead. For a stream the deadline is that of its beginning;
//! after that, silence is limited ([`ClientConfig::stream_idle_timeout`]), and heartbeats are no silence.
//! Connecting has a limit of its own within all that, and so has an agent's start
//! ([`SandboxConfig::start_timeout`], the template's own limit, or 60 s).
//!
//! # Cancellation
//! Dropping a future, a stream or a session at any point is safe and leaves nothing running:
//!
//! - [`CreateSession`]: a sandbox that is being made is ended as soon as it exists, even one that was
//!   made behind a connection that broke.
//! - [`Invoke`] and [`InvocationStream`]: the connection is closed, by which the agent learns to stop. A
//!   session that was made for the call is ended.
//! - [`SandboxSession`]: when the last handle is dropped, the sandbox that this client made is ended in
//!   the background ([`detach`](SandboxSession::detach) lets it live on). Sessions that were found again
//!   belong to whoever made them.
//!
//! What goes on in the background ends with the process, so wait for it with
//! [`AgentRuntimeClient::close`] before.
//!
//! # The API key
//! The key goes to the control plane, and to agents only over https on hosts of PPIO's cloud
//! (`sandbox.ppio.cn`, `sandbox.ppio.com` and below), whose contract it is: who has the key can use
//! the account. [`ClientConfig::send_api_key_to_agents`] says otherwise. Where the platform gives a
//! sandbox a traffic token, its agent gets that token instead (`e2b-traffic-access-token`), and
//! [`Invoke::header`] sends headers of the caller's own, `authorization` included.
//!
//! What the control plane answers cannot lead the key elsewhere: an id that is more than letters,
//! digits, `-` and `_`, or a domain that is more than a host name and a port, is an error, and an
//! agent on a domain that is not below [`ClientConfig::domain`] gets no key. Redirects are not
//! followed. Plain http to another machine is warned of in the log, once for each host.
//!
//! # Large answers
//! Of one answer, file, item of a stream or output of a process at most
//! [`ClientConfig::max_response_size`] is read into memory (64 MiB), of an answer of the control
//! plane 16 MiB, of an explanation of an error 64 KiB. More is [`Error::ResponseTooLarge`], and the
//! connection is closed.
//!
//! # Environment
//! `PPIO_API_KEY`, `PPIO_ACCESS_TOKEN`, `PPIO_DOMAIN`, `PPIO_API_URL`, `PPIO_SANDBOX_URL`,
//! `PPIO_DEBUG`, `PPIO_SEND_API_KEY_TO_AGENTS` and `PPIO_MAX_RESPONSE_SIZE`. Where `E2B_API_KEY` is
//! set and `PPIO_API_KEY` is not, the same names with `E2B_` are read instead, and the default domain
//! is `e2b.app`: a key is only used with the addresses of its own vendor. `HTTPS_PROXY`,
//! `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; `SSL_CERT_FILE` and `SSL_CERT_DIR`.

mod client;
mod config;
mod core;
mod error;
mod invocation;
pub mod platform;
mod session;
mod templates;
mod transport;

pub use client::{AgentRuntimeClient, AgentRuntimeResponse, ClientBuilder, InvokeAgentRuntime};
pub use config::{AuthManager, ClientConfig, Secret};
pub use error::{Error, ErrorReport, NetworkError, NetworkErrorKind};
pub use invocation::{InvocationOutput, InvocationStream, Invoke};
pub use session::{CreateSession, SandboxConfig, SandboxSession, SessionStatus};
pub use templates::{AgentTemplate, RuntimeInfo, TemplateFilter, TemplateManager};

pub use {bytes, http};

pub use ppio_agent_protocol::{
    AgentConfig, AgentId, ByteSize, CpuLimit, InvocationRequest, InvocationResponse,
    InvocationStatus, MemoryLimit, PingResponse, PingStatus,
};
