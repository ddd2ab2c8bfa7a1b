//! Client for agents on PPIO: sessions, invocation, streams, and the platform's API.
//!
//! An *agent* is an HTTP service that responds to `POST /invocations`. A *template* is a built
//! image of an agent; a *sandbox* is an isolated machine that runs it; a *session* is a handle to
//! one sandbox.
//!
//! ```no_run
//! use std::time::Duration;
//! use ppio_agent_client::AgentRuntimeClient;
//! use serde_json::json;
//!
//! # async fn run() -> Result<(), ppio_agent_client::Error> {
//! // The client and its sessions are closed when the work is done, also after an error.
//! AgentRuntimeClient::scope(async |client| {
//!     // One invocation, in a session of its own.
//!     let response = client.invoke_agent("tmpl_1", json!({"prompt": "hi"})).await?;
//!
//!     // Several invocations in one session.
//!     let session = client.create_session("tmpl_1").timeout(Duration::from_secs(1800)).await?;
//!     let mut story = session.invoke("tell me a story").stream().await?;
//!     while let Some(item) = story.next().await {
//!         println!("{}", item?);
//!     }
//!     session.pause().await?;
//!     session.resume().await?;
//!     session.close().await
//! })
//! .await
//! # }
//! ```
//!
//! | type | purpose |
//! | --- | --- |
//! | [`AgentRuntimeClient`] | creates and finds sessions, invokes agents |
//! | [`SandboxSession`] | one sandbox with an agent in it |
//! | [`Invoke`] | one invocation: options, and how its response is read |
//! | [`Post`] | one request to a path of the agent, in another protocol |
//! | [`InvocationStream`] | the items of a response |
//! | [`Run`] | an invocation that outlives its connection |
//! | [`Error`] | every failure, with its HTTP status and whether a retry is safe |
//! | [`ClientConfig`], [`SandboxConfig`] | limits and addresses |
//! | [`TemplateManager`], [`AuthManager`] | templates and the API key, with or without a client |
//! | [`AgentConfig`] and its parts | `agent.yaml`, also in a template's metadata |
//! | [`platform`] | the control plane and the daemon in each sandbox, for any platform with the E2B protocol |
//!
//! Futures of this crate need a Tokio runtime with I/O and time enabled.
//!
//! # Retries
//! Calls that are safe to repeat are retried, up to [`max_retries`](ClientConfig::max_retries)
//! times. The upper limit of the pause doubles with every retry, and the pause is random below it,
//! so that clients that failed together do not retry together. A `Retry-After` is respected, in
//! seconds or as a date.
//!
//! | call | retried after |
//! | --- | --- |
//! | reads, and calls with the same effect when repeated (kill, pause, resume, refresh, …) | broken connections, 429, 500, 502, 503, 504 |
//! | creating a sandbox on a platform that honours idempotency keys | the same failures as reads |
//! | creating a sandbox on any other platform, a template, a build | connections that were not established, or closed before a byte was written; 429, 503: nothing was created |
//! | invocations of an agent that honours idempotency keys, calls about runs | broken connections; 502, 503 and 504 from a server between client and agent |
//! | invocations of any other agent, and other calls that must not be repeated (starting a process, its input, moving a file, …) | connections that were not established, or closed before a byte was written |
//!
//! Every invocation has its own `Idempotency-Key`. An agent that honours keys announces this in its
//! responses (`PPIO-Idempotency`). Such an agent runs an invocation once, however often the
//! invocation is sent, and repeats the same response. An invocation that may have reached any other
//! agent is never sent twice; only the caller can decide to repeat it. [`Error::is_retryable`]
//! returns whether a call can be repeated without doing its work twice.
//!
//! # Runs
//! An agent that honours keys keeps its runs for some time. With [`Invoke::resumable`], a stream
//! reconnects after a broken connection; [`Invoke::detach`] starts an invocation without waiting
//! for its response; and [`SandboxSession::run`] returns a handle to such a run by its id, in any
//! process.
//!
//! # Deadlines
//! Every call has one deadline for all its attempts and the pauses between them:
//! [`ClientConfig::timeout`], or the call's own ([`Invoke::timeout`]). If a pause would outlast the
//! deadline, the last failure is returned immediately. For a stream, the deadline applies until the
//! stream begins; after that, [`ClientConfig::stream_idle_timeout`] limits the time without an item
//! or a heartbeat. Establishing a connection has a time limit of its own within the deadline, and
//! so has the start of an agent ([`SandboxConfig::start_timeout`], the template's limit, or 60 s).
//!
//! # Cancellation
//! Dropping a future, a stream or a session at any point is safe and leaves no sandbox behind, as
//! long as the runtime runs:
//!
//! - [`CreateSession`]: a sandbox that is being created is killed as soon as it exists, even if the
//!   connection of the request broke.
//! - [`Invoke`] and [`InvocationStream`]: the connection is closed, which cancels the invocation. A
//!   session that was created for the call is closed. An agent that honours idempotency keys waits
//!   some seconds for the caller to reconnect, so the client also sends it a request to cancel,
//!   unless the caller chose the request id or the idempotency key.
//!   Resumable streams and streams of a [`Run`] cancel nothing.
//! - [`SandboxSession`]: when the last handle is dropped, a sandbox that this client created is
//!   killed in the background; [`detach`](SandboxSession::detach) keeps it. The sandbox of a
//!   session that another client created is not killed.
//!
//! Work in the background ends with the runtime: a sandbox that is not killed by then runs until it
//! expires. A program has to call [`AgentRuntimeClient::close`] before it ends, even after an
//! error. [`AgentRuntimeClient::scope`] closes the client, and [`AgentRuntimeClient::with_session`]
//! the session, on every path: when the body returns, fails or panics. If the future of `scope` or
//! `with_session` is dropped, the client or the session is closed in the background.
//!
//! # The API key
//! The key is sent to the control plane, and to agents only over https on hosts of PPIO's cloud
//! (`sandbox.ppio.cn`, `sandbox.ppio.com`, `sandbox-test.ppio.cn` and their subdomains), as PPIO's
//! contract specifies: the key gives access to the account.
//! [`ClientConfig::send_api_key_to_agents`] changes this. An agent whose sandbox has a traffic
//! token is sent that token instead (`e2b-traffic-access-token`), and [`Invoke::header`] adds
//! headers of the caller, including `authorization`.
//!
//! A response of the control plane cannot redirect the key: an id with characters other than
//! letters, digits, `-` and `_` is an error, and so is a domain that is not a host name with an
//! optional port. If the platform returns a domain for a sandbox that is neither
//! [`ClientConfig::domain`] nor a subdomain of it, the agent in the sandbox is not sent the key,
//! unless both domains are of PPIO's cloud or the returned domain is not used
//! ([`ClientConfig::sandbox_url`], [`ClientConfig::debug`]). Redirects are not followed. Plain http
//! to another machine is logged as a warning, at most twice for each host: once for requests with
//! credentials, and once for requests without.
//!
//! # Large responses
//! [`ClientConfig::max_response_size`] (64 MiB) limits one response, file, item of a stream or
//! output of a process in memory. The limit is 16 MiB for a response of the control plane, 64 MiB
//! for all pages of a list, and 64 KiB for the response to a ping. Anything larger fails with an
//! error whose [`root`](Error::root) is [`Error::ResponseTooLarge`]. The body of an error response
//! is read up to 64 KiB, and the rest is ignored.
//!
//! # Environment
//! The client reads `PPIO_API_KEY`, `PPIO_ACCESS_TOKEN`, `PPIO_DOMAIN`, `PPIO_API_URL`,
//! `PPIO_SANDBOX_URL`, `PPIO_DEBUG`, `PPIO_SEND_API_KEY_TO_AGENTS` and `PPIO_MAX_RESPONSE_SIZE`. If
//! `E2B_API_KEY` is set, and the API key is neither in `PPIO_API_KEY` nor set in code, the same
//! names with `E2B_` are read instead, and the default domain is `e2b.app`: a key from the
//! environment is only used with the addresses of its vendor. The client also reads `HTTPS_PROXY`,
//! `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, and `SSL_CERT_FILE` and `SSL_CERT_DIR`. A variable
//! that is empty or contains only white space counts as not set.
//!
//! # Features
//! All features are off by default.
//!
//! - `otel`: an invocation sends `traceparent`, `tracestate` and `baggage` of the current
//!   OpenTelemetry span. This is the span of the invocation itself if the program's subscriber has
//!   the layer of `tracing-opentelemetry`.
//! - `websocket`: `SandboxSession::websocket` opens a WebSocket to the agent.
//! - `yaml`: `AgentConfig::from_yaml` and `AgentConfig::to_yaml`.

mod client;
mod config;
mod core;
mod deferred;
mod error;
mod invocation;
pub mod platform;
mod session;
mod templates;
mod transport;

pub use client::{AgentRuntimeClient, AgentRuntimeResponse, ClientBuilder, InvokeAgentRuntime};
pub use config::{AuthManager, ClientConfig, Secret};
pub use error::{Error, ErrorReport, NetworkError, NetworkErrorKind};
#[cfg(feature = "websocket")]
pub use invocation::OpenWebSocket;
pub use invocation::{InvocationOutput, InvocationStream, Invoke, ListRuns, Post, Run, RunInfo};
#[cfg(feature = "websocket")]
pub use ppio_agent_websocket::{
    CloseFrame, WebSocket, WebSocketError, WebSocketMessage, WebSocketSender, close_code,
};
pub use session::{CreateSession, SandboxConfig, SandboxSession, SessionStatus};
pub use templates::{AgentTemplate, ListTemplates, RuntimeInfo, TemplateManager};

/// The crate of the header types in [`Invoke::trace_context`] and [`AuthManager::auth_headers`].
pub use http;

/// The crate of the type of payloads and files ([`AgentRuntimeClient::invoke_agent_runtime`]).
pub use bytes;

/// The types of `agent.yaml`: the metadata, requirements and deployment of an agent.
pub use ppio_agent_protocol::{
    AgentConfig, AgentConfigError, AgentMetadata, AgentName, AgentSpec, AgentStatus, ApiVersion,
    AuthorEmail, CpuLimit, DeploymentPhase, DocumentKind, Entrypoint, InvalidAgentName,
    InvalidAuthorEmail, InvalidCpuLimit, InvalidDeploymentPhase, InvalidEntrypoint,
    InvalidMemoryLimit, InvalidStartTimeout, InvalidTimestamp, MemoryLimit, RuntimeSpec,
    SandboxSpec, StartTimeout, Timestamp, UnsupportedDocument,
};

pub use ppio_agent_protocol::{
    AgentId, ByteSize, InvalidAgentId, InvalidByteSize, InvalidPingStatus, InvalidRunStatus,
    InvocationRequest, InvocationResponse, InvocationStatus, PingResponse, PingStatus, RunStatus,
};
