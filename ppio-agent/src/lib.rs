//! Annotate one function, get a production HTTP agent service.
//!
//! ```no_run
//! use ppio::{Value, json};
//!
//! #[ppio::entrypoint]
//! async fn agent(request: Value) -> Value {
//!     json!({ "echo": request["prompt"] })
//! }
//! ```
//!
//! This is a whole program: the attribute generates `main`. `cargo run` serves
//!
//! - `POST /invocations`: JSON in, JSON or an event stream out;
//! - `GET /ping`: the health check of the platform;
//! - `GET /metrics`: metrics for Prometheus;
//! - `GET /openapi.json`: the service as an `OpenAPI` document;
//! - `GET /`: a description of the service, and for browsers in debug mode a page to try the agent;
//! - `/ws`: a WebSocket, for agents with a [`websocket`] function.
//!
//! The same binary runs in a PPIO or E2B sandbox, on AWS AgentCore, and in any container. Each
//! platform calls these routes; a request with AgentCore's headers is answered with the bare value
//! instead of PPIO's envelope, unless it has the header `PPIO-Response-Format: envelope`.
//!
//! # Entrypoints
//!
//! The function takes the request, then in any order the [`RequestContext`] and [`State`]s, by
//! value or by reference. The request is any type that implements `Deserialize`; a body that does
//! not match the type is answered with a 422 that names the field.
//!
//! The function's return type determines the answer. Aliases, `impl Trait` and boxes work:
//!
//! | returns | answer |
//! | --- | --- |
//! | anything that implements `Serialize` | JSON |
//! | an [`InvocationResponse`] | the envelope itself, with missing fields added |
//! | a `Stream` or an `Iterator` of such values | an event stream, one event for each item |
//! | a [`Reply`] of a value and a stream or an iterator | the one that the request selects |
//! | [`Response`] | the response itself |
//! | a `Result` of any of these | the same, or an error |
//!
//! Items may be `Result`s too; an `Err` ends the stream with an error item. An error is any type
//! that implements `Display`, and becomes a 500; an [`Error`], also in a `Box<dyn Error>`, sets
//! another status. A nested `Result` fails with the outer or the inner error.
//!
//! The function may be `async` or not. Plain functions and iterators run on blocking threads, so
//! that they do not delay other requests; an iterator occupies its thread only while it produces
//! items.
//!
//! ```no_run
//! use futures_util::stream::{self, Stream};
//! use ppio::RequestContext;
//!
//! #[derive(serde::Deserialize)]
//! struct Request {
//!     prompt: String,
//! }
//!
//! #[ppio::entrypoint]
//! async fn agent(
//!     request: Request,
//!     context: &RequestContext,
//! ) -> Result<impl Stream<Item = String> + use<>, ppio::Error> {
//!     if request.prompt.is_empty() {
//!         return Err(ppio::Error::bad_request("`prompt` is empty"));
//!     }
//!     tracing::info!(session = context.session_id(), "thinking");
//!     Ok(stream::iter(["Let ", "me ", "think."].map(str::to_owned)))
//! }
//! ```
//!
//! A block with `yield` is a stream, like a generator in Python:
//!
//! ```no_run
//! # #[cfg(feature = "stream")]
//! # mod agent {
//! use std::time::Duration;
//! use ppio::tokio::time::sleep;
//! use ppio::{Stream, Value, stream};
//!
//! #[ppio::entrypoint]
//! async fn agent(request: Value) -> impl Stream<Item = String> {
//!     stream! {
//!         for word in request["prompt"].as_str().unwrap_or_default().split(' ') {
//!             sleep(Duration::from_millis(100)).await;
//!             yield word.to_owned();
//!         }
//!         yield "done".to_owned();
//!     }
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! # Shared state
//!
//! A function with [`startup`] builds a value that all requests share, once, before the agent
//! listens. The function may fail: the process then exits with the error. Functions take the value
//! as a [`State`]; a parameter for a state that no startup function builds does not compile. A
//! function with [`shutdown`] releases the value when the agent shuts down.
//!
//! ```no_run
//! use ppio::State;
//!
//! struct Model {
//!     weights: Vec<u8>,
//! }
//!
//! #[ppio::startup]
//! async fn load() -> std::io::Result<Model> {
//!     Ok(Model { weights: std::fs::read("model.bin")? })
//! }
//!
//! #[ppio::entrypoint]
//! async fn agent(prompt: String, model: State<Model>) -> String {
//!     format!("{prompt} and {} bytes", model.weights.len())
//! }
//!
//! #[ppio::shutdown]
//! async fn release(model: State<Model>) {
//!     tracing::info!("{} bytes were used", model.weights.len());
//! }
//! ```
//!
//! # The rest of the service
//!
//! - [`ping`] makes a function the health check; [`middleware`] wraps the routes.
//! - [`RuntimeConfig`] lists every setting, its environment variable and its default;
//!   [`RequestContext::settings`] returns the values in force.
//! - [`routes`] serves further paths with a service such as axum's `Router`.
//! - [`task::spawn`] starts a background task that continues after its request; [`task::info`]
//!   lists the running tasks, and [`health`] forces a status of the health check.
//! - [`trace`] propagates the caller's trace to the calls that an agent makes.
//! - [`testing`] calls an agent without a socket, and drops an invocation at every await point.
//! - [`AgentRuntimeApp::builder`] builds an agent from closures, without a macro.
//! - [`AgentRuntimeApp::into_service`] turns an agent into a service that another server mounts.
//!
//! # Features
//!
//! | feature | default | adds |
//! | --- | --- | --- |
//! | `logging` | yes | the log that the generated `main` writes, and its settings |
//! | `metrics` | yes | `GET /metrics` |
//! | `schema` | yes | `GET /openapi.json`, and the JSON Schemas that `GET /` shows in debug mode |
//! | `playground` | yes | the page for browsers in debug mode; turns on `schema` |
//! | `stream` | yes | `stream!` and `try_stream!`, which create a stream from a `yield` block |
//! | `otel` | no | OpenTelemetry: traces, metrics and logs over OTLP, configured by the `OTEL_*` variables |
//! | `protocols` | no | all of the protocols below |
//! | `a2a` | no | A2A at `/a2a`, and the agent card |
//! | `ag-ui` | no | AG-UI at `/ag-ui` |
//! | `mcp` | no | MCP at `/mcp` |
//! | `openai` | no | `OpenAI`'s chat completions and responses below `/v1` |
//! | `ui-stream` | no | the UI message stream of the Vercel AI SDK at `/api/chat` |
//! | `websocket` | no | WebSocket at `/ws`, served by a function with [`websocket`] |
//! | `yaml` | no | `AgentConfig::from_yaml` and `AgentConfig::to_yaml` |
//!
//! # Cancellation and deadlines
//!
//! A client that disconnects cancels its invocation: the handler's future is dropped. A handler
//! that has not answered within [`RuntimeConfig::timeout`] is dropped as well, and the answer is a
//! 504. A caller can set an earlier deadline, which applies to the whole stream as well
//! ([`RequestContext::deadline`]). Synchronous code cannot be stopped from outside; it has to check
//! [`RequestContext::is_cancelled`].
//!
//! On SIGTERM and SIGINT the service stops accepting connections, waits at most
//! [`RuntimeConfig::shutdown_grace`] for running requests and background tasks, and aborts the
//! rest. Then the [`shutdown`] functions run in the remaining grace.

#![forbid(unsafe_code)]

mod app;
mod config;
mod endpoints;
mod exchange;
pub mod health;
mod invocation;
mod lifecycle;
#[cfg(feature = "chat")]
#[cfg_attr(
    not(feature = "protocols"),
    allow(dead_code, reason = "each protocol uses a part of it")
)]
mod protocols;
#[cfg_attr(
    all(feature = "chat", not(feature = "protocols")),
    allow(dead_code, reason = "each protocol uses a part of it")
)]
mod runs;
mod server;
mod stalls;
pub mod task;
mod telemetry;
pub mod testing;
mod token_usage;
pub mod trace;

pub use app::{
    AgentRuntimeApp, AgentRuntimeAppBuilder, BuilderEntrypoint, SourceLocation, StartError, run,
};
/// Creates a stream from a block that sends items with `yield`.
///
/// The block may await. The stream is polled when the caller can take more, and dropped when the
/// invocation is cancelled. This is `stream!` of the crate [`async_stream`].
///
/// ```
/// use ppio::{Stream, stream};
///
/// fn countdown(from: u32) -> impl Stream<Item = u32> {
///     stream! {
///         for number in (0..from).rev() {
///             yield number;
///         }
///     }
/// }
/// # let _ = countdown(3);
/// ```
#[cfg(feature = "stream")]
pub use async_stream::stream;
/// Creates a stream of `Result`s from a block in which `?` ends the stream with the error.
///
/// This is `try_stream!` of the crate [`async_stream`].
///
/// ```
/// use ppio::{Stream, try_stream};
///
/// async fn chapters(titles: Vec<String>) -> impl Stream<Item = Result<u32, ppio::BoxError>> {
///     try_stream! {
///         for title in titles {
///             let number: u32 = title.parse()?;
///             yield number;
///         }
///     }
/// }
/// # let _ = chapters(Vec::new());
/// ```
#[cfg(feature = "stream")]
pub use async_stream::try_stream;
/// The crate of the byte buffers in [`Body`].
pub use bytes;
pub use config::RuntimeConfig;
pub use config::settings::ConfigError;
pub use endpoints::mounted::IntoRoutes;
pub use endpoints::ping::IntoPing;
pub use exchange::body::{Body, BodyEnd, Request, Response};
pub use exchange::context::{AgentRuntimeContext, RequestContext};
pub use exchange::error::{BoxError, Error};
#[cfg(feature = "logging")]
pub use exchange::log_format::LogFormat;
pub use exchange::platform::Platform;
pub use exchange::policies::{OnDisconnect, SessionConcurrency};
pub use exchange::protocol::Protocol;
pub use exchange::runtime_settings::RuntimeSettings;
/// The trait of streams, which an entrypoint returns as `impl Stream<Item = …>`.
pub use futures_core::Stream;
/// The crate of the HTTP types in public signatures, such as [`http::StatusCode`].
pub use http;
pub use invocation::reply::{IntoReply, Json, Reply, Sse, SseIter};
pub use lifecycle::{LifecycleError, State};
/// Makes a function the agent's entrypoint and generates `main`; see the [crate's page](crate) for
/// the signatures.
///
/// ```no_run
/// use std::time::Duration;
/// use ppio::{RequestContext, RuntimeConfig, Value};
///
/// #[ppio::entrypoint(config = RuntimeConfig::new().timeout(Duration::from_secs(600)))]
/// async fn agent(request: Value, context: RequestContext) -> Result<Value, std::io::Error> {
///     println!("session {:?}", context.session_id());
///     Ok(request)
/// }
/// ```
///
/// The function itself does not change and can be unit-tested. If the function is not in the root
/// module of its crate, the crate's own `main` has to call [`run`].
pub use ppio_agent_macros::entrypoint;
/// Wraps a function around the routes of invocations, or with `all` around every route.
///
/// The routes of invocations are `/invocations` and the paths below it, those of the protocols, and
/// `/ws`.
///
/// ```no_run
/// # #[ppio::entrypoint] async fn agent(request: ppio::Value) -> ppio::Value { request }
/// use ppio::{Error, Next, Request, Response};
///
/// #[ppio::middleware(order = -10)]
/// async fn auth(request: Request, next: Next) -> Result<Response, Error> {
///     let token = request.headers().get("authorization");
///     if token.is_none_or(|token| token != "Bearer sesame") {
///         return Err(Error::unauthorized("send the right token"));
///     }
///     Ok(next.run(request).await)
/// }
/// ```
///
/// An error response carries the [`Error`] in its extensions, so its body need not be parsed. That
/// holds for every error of the runtime, of the entrypoint and of other middleware; a [`Response`]
/// that code builds itself has only the extensions that this code adds.
///
/// ```no_run
/// # #[ppio::entrypoint] async fn agent(request: ppio::Value) -> ppio::Value { request }
/// use ppio::{Error, Next, Request, Response};
///
/// #[ppio::middleware]
/// async fn report(request: Request, next: Next) -> Response {
///     let response = next.run(request).await;
///     if let Some(error) = response.extensions().get::<Error>() {
///         eprintln!("{} {}: {error}", error.status(), error.error_type());
///     }
///     response
/// }
/// ```
///
/// A stream that fails has already sent the status of a success; its error is the last item of its
/// body.
///
/// Middleware can read and replace the request and the response, answer without calling
/// [`Next::run`], and pass values to the entrypoint: `request.extensions_mut().insert(user)`, then
/// [`RequestContext::extension`]. Middleware takes [`State`]s as further parameters. The lowest
/// order is outermost; equal orders keep the source order.
///
/// A header that middleware sets is read by the entrypoint. The runtime reads the header as well,
/// if the header determines the session, the content type, whether the answer is a stream
/// (`Accept`), or how the invocation is [kept](RuntimeConfig::on_disconnect) (`Idempotency-Key`,
/// `Prefer`, `PPIO-On-Disconnect`, `PPIO-Stream-Ids`). The deadline, the format of the answer and
/// the request id come from the caller's own headers, which are read before middleware runs:
/// setting or removing `PPIO-Timeout`, `PPIO-Response-Format` or `X-Request-Id` has no effect on
/// them.
pub use ppio_agent_macros::middleware;
/// Makes a function the agent's health check, which answers `GET /ping`.
///
/// ```no_run
/// # #[ppio::entrypoint] async fn agent(request: ppio::Value) -> ppio::Value { request }
/// use ppio::PingStatus;
///
/// #[ppio::ping]
/// async fn health() -> Result<PingStatus, std::io::Error> {
///     // check what the agent depends on
///     Ok(PingStatus::Healthy)
/// }
/// ```
///
/// The function takes no parameters or [`State`]s, may be `async`, and returns an [`IntoPing`]. A
/// check that fails or takes longer than 10 seconds is answered with a 500 and the status
/// `HealthyBusy`, so that the platform does not reclaim the sandbox. While [`task`]s or
/// [long](RuntimeConfig::busy_after) invocations run, the status is `HealthyBusy` as well. With a
/// [`platform`](RuntimeConfig::platform), the status is determined in the order that this setting
/// describes.
pub use ppio_agent_macros::ping;
/// Serves the paths that are not the agent's own with a tower service, such as axum's `Router`.
///
/// ```no_run
/// # #[ppio::entrypoint] async fn agent(request: ppio::Value) -> ppio::Value { request }
/// use axum::Router;
/// use axum::routing::get;
///
/// #[ppio::routes]
/// fn routes() -> Router {
///     Router::new().route("/version", get(async || env!("CARGO_PKG_VERSION")))
/// }
/// ```
///
/// The function takes no parameters or [`State`]s, may be `async`, and returns an [`IntoRoutes`] or
/// a `Result` of an [`IntoRoutes`], whose error implements `Display`. The function runs once, after
/// the [`startup`] functions and before the agent listens; an error ends the process. An agent has
/// at most one such function.
///
/// The agent's own paths take precedence, even for methods that they do not support: `/`, `/ping`,
/// `/metrics`, `/openapi.json`, `/invocations` and the paths below it, and the paths of the
/// protocols that are served. A path whose feature is switched off, such as `/metrics` with
/// [`RuntimeConfig::enable_metrics`], goes to the service.
///
/// A request to the service is handled like an invocation: [`middleware`] with `all` runs around
/// it, the body is limited by [`max_request_size`](RuntimeConfig::max_request_size) and
/// [`body_timeout`](RuntimeConfig::body_timeout), a response that does not begin within the
/// [`timeout`](RuntimeConfig::timeout) is replaced by a 504, a panic is answered with a 500, and a
/// client that disconnects cancels the request. The checks of `Host` and `Origin` and the answers
/// to preflights follow [`RuntimeConfig::cors_origins`]. The [`RequestContext`] is in the
/// extensions of the request (axum: `Extension<RequestContext>`), and
/// [`AgentRuntimeContext::current`] returns it.
pub use ppio_agent_macros::routes;
/// Runs a function when the agent shuts down, once requests and background tasks have ended. The
/// function has the remaining [`shutdown_grace`](RuntimeConfig::shutdown_grace), and at least one
/// second.
///
/// ```no_run
/// # #[ppio::entrypoint] async fn agent(request: ppio::Value) -> ppio::Value { request }
/// # struct Log; impl Log { async fn flush(&self) -> std::io::Result<()> { Ok(()) } }
/// # #[ppio::startup] async fn open() -> Log { Log }
/// use ppio::State;
///
/// #[ppio::shutdown]
/// async fn flush(log: State<Log>) -> std::io::Result<()> {
///     log.flush().await
/// }
/// ```
///
/// The function takes no parameters or [`State`]s, may be `async`, and returns nothing or a
/// `Result` with an error that implements `Display`. An error, a panic or a function that does not
/// end in time makes [`run`] fail: the process exits with code 1. Several functions run at the same
/// time.
///
/// The functions also run if the agent cannot listen on its address, but not if a startup function
/// fails. A second signal ends the process without waiting for the functions.
pub use ppio_agent_macros::shutdown;
/// Builds a [`State`] before the agent listens.
///
/// ```no_run
/// use std::net::SocketAddr;
///
/// use ppio::State;
///
/// /// Where the model is served.
/// struct Backend(SocketAddr);
///
/// #[ppio::startup]
/// async fn find_backend() -> Result<Backend, Box<dyn std::error::Error>> {
///     let address = std::env::var("BACKEND")?;
///     Ok(Backend(address.parse()?))
/// }
///
/// #[ppio::entrypoint]
/// async fn agent(_prompt: String, backend: &State<Backend>) -> String {
///     backend.0.0.to_string()
/// }
/// ```
///
/// The function has no parameters, may be `async`, and returns the value or a `Result` with an
/// error that implements `Display`. An error or a panic ends the process with exit code 1 before
/// the agent listens; a signal ends it with exit code 0. Several functions run one after the other
/// in source order; each builds a different type.
///
/// A state can be used in the crate of its startup function and in crates that depend on that
/// crate: a parameter of type `State<T>` does not compile without a startup function that returns
/// `T`.
pub use ppio_agent_macros::startup;
/// Makes a function serve `/ws`, where each connection is a `ppio::WebSocket`.
///
/// ```no_run
/// # #[ppio::entrypoint] async fn agent(request: ppio::Value) -> ppio::Value { request }
/// # #[cfg(feature = "websocket")]
/// #[ppio::websocket]
/// async fn chat(mut socket: ppio::WebSocket, context: ppio::RequestContext) -> Result<(), ppio::Error> {
///     tracing::info!(session = context.session_id(), "a client has connected");
///     while let Some(message) = socket.recv().await {
///         socket.send(message?).await?;
///     }
///     Ok(())
/// }
/// ```
///
/// The function takes the socket, then in any order the [`RequestContext`] and [`State`]s, is
/// `async`, and returns nothing or a `Result` with an error that implements `Display`. The
/// attribute needs the feature `websocket`.
///
/// The connection is closed when the function returns: with the code 1000, or with 1011 if it fails
/// or panics; the text of the error is logged and not sent. When the client has disconnected, the
/// function has 5 seconds to return and is then dropped, unless [`RuntimeConfig::on_disconnect`] is
/// [`OnDisconnect::Continue`]. When the agent shuts down, the client receives the code 1001, and
/// the function has the [`shutdown_grace`](RuntimeConfig::shutdown_grace). At the end of the
/// client's `PPIO-Timeout`, the function is dropped, and the client receives the code 1001. An
/// error of the socket itself that the function returns does not count as a failure.
///
/// A connection counts as an invocation: for [`RuntimeConfig::max_concurrency`], in the metrics and
/// the log, and as busy in `/ping` while it is open. The same checks of host and origin, and the
/// same [`middleware`], apply to the handshake as to an invocation. Middleware that sets the header
/// `sec-websocket-protocol` of the response selects a subprotocol.
pub use ppio_agent_macros::websocket;
/// The types of `agent.yaml`, which describes an agent, its requirements and its deployment.
pub use ppio_agent_protocol::{
    AgentConfig, AgentConfigError, AgentMetadata, AgentName, AgentSpec, AgentStatus, ApiVersion,
    AuthorEmail, CpuLimit, DeploymentPhase, DocumentKind, Entrypoint, InvalidAgentName,
    InvalidAuthorEmail, InvalidCpuLimit, InvalidDeploymentPhase, InvalidEntrypoint,
    InvalidMemoryLimit, InvalidStartTimeout, InvalidTimestamp, MemoryLimit, RuntimeSpec,
    SandboxSpec, StartTimeout, Timestamp, UnsupportedDocument,
};
pub use ppio_agent_protocol::{
    ByteSize, InvalidByteSize, InvalidPingStatus, InvocationRequest, InvocationResponse,
    InvocationStatus, PingResponse, PingStatus,
};
/// The messages, tools and events of chats.
pub use ppio_agent_protocol::{
    ChatEvent, ChatMessage, ChatPart, ChatRole, ChatTool, FinishReason, InterruptResponse,
    InterruptStatus, ToolCall,
};
#[cfg(feature = "websocket")]
pub use ppio_agent_websocket::{
    CloseFrame, WebSocket, WebSocketError, WebSocketMessage, WebSocketSender, close_code,
};
pub use serde_json::{Value, json};
pub use server::AgentRuntimeServer;
pub use server::middleware::{IntoResponse, Next};
pub use server::service::AgentService;
#[cfg(feature = "otel")]
pub use telemetry::TelemetryError;
/// The async runtime that agents run on. An agent that only sleeps or sets timeouts needs no
/// dependency of its own: `ppio::tokio::time::sleep`.
///
/// The features `macros`, `net`, `rt-multi-thread`, `signal`, `sync` and `time` of tokio are
/// enabled.
pub use tokio;

/// The items that the expansion of the macros uses. They may change in any version.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
    #[cfg(feature = "schema")]
    pub use ppio_agent_schema as schema;

    pub use crate::__entrypoint_schema as entrypoint_schema;
    pub use crate::__websocket_registration as websocket_registration;
    #[cfg(feature = "websocket")]
    pub use crate::app::WebSocketRegistration;
    pub use crate::app::{
        EntrypointRegistration, MiddlewareRegistration, PingRegistration, RoutesRegistration,
        ShutdownRegistration, SourceLocation, StartupRegistration,
    };
    #[cfg(feature = "schema")]
    pub use crate::endpoints::entrypoint_schema::EntrypointSchema;
    #[cfg(not(feature = "schema"))]
    pub use crate::endpoints::entrypoint_schema::SchemaFunction;
    pub use crate::endpoints::mounted::{into_routes, routes_on_blocking_thread, routes_on_worker};
    pub use crate::endpoints::ping::{into_ping, ping_on_blocking_thread, ping_on_worker};
    #[cfg(feature = "websocket")]
    pub use crate::endpoints::websocket::call::websocket_handler;
    #[cfg(feature = "websocket")]
    pub use crate::endpoints::websocket::function::{
        pass_socket, pass_socket_parameter, websocket_output,
    };
    pub use crate::exchange::agent_info::AgentInfo;
    /// Determines the kind of a returned value from its type.
    pub mod autoref {
        pub use crate::invocation::autoref::*;
    }
    pub use crate::invocation::autoref::{fail, hook_error, require_non_result};
    pub use crate::invocation::handler::{handler, on_blocking_thread, on_worker, request};
    pub use crate::invocation::parameter::{parameter, parameter_source, pass_parameter};
    pub use crate::lifecycle::annotated::{Built, ResultType, pass_state, state, state_slot};
    pub use crate::lifecycle::shutdown::{
        shutdown_on_blocking_thread, shutdown_on_worker, shutdown_output,
    };
    pub use crate::lifecycle::startup::{startup_on_blocking_thread, startup_on_worker};
    pub use crate::server::middleware::{into_response, middleware, pass_next, pass_request};
}
