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
//! That is a whole program: the attribute writes `main`. `cargo run` serves
//!
//! - `POST /invocations`: JSON in, JSON or an event stream out;
//! - `GET /ping`: the health check that platforms ask for;
//! - `GET /metrics`: counters for Prometheus; `GET /`: what this service is, and to a browser in
//!   debug mode a page to try it.
//!
//! The same binary runs in a PPIO or E2B sandbox, on AWS AgentCore, and in any container: they call
//! the same routes, and a caller with AgentCore's headers gets the bare value it expects instead of
//! PPIO's envelope.
//!
//! # Entrypoints
//!
//! The function takes the request and, if it wants, the [`RequestContext`], by value or by
//! reference. The request is anything that implements `Deserialize`; a body that does not fit is a
//! 422 that names the field.
//!
//! What it returns decides the answer, by type and not by spelling, so aliases, `impl Trait` and
//! boxes work:
//!
//! | returns | answer |
//! | --- | --- |
//! | anything that implements `Serialize` | JSON |
//! | a `Stream` or an `Iterator` of such | an event stream, one event an item |
//! | [`Response`] | itself |
//! | a `Result` of any of these | the same, or an error |
//!
//! Items may be `Result`s too; an `Err` ends the stream with an error item. An error is anything
//! that can be displayed, and a 500; [`Error`] chooses its status, in a `Box<dyn Error>` as well.
//! A `Result` in a `Result` fails with the error of either.
//!
//! The function is `async` or not. A plain function and an iterator run on blocking threads and
//! never stall the service; an iterator holds its thread only while it produces.
//!
//! ```no_run
//! use futures_util::stream::{self, Stream};
//! use ppio::RequestContext;
//!
//! #[derive(serde::Deserialize)]
//! struct Question {
//!     prompt: String,
//! }
//!
//! #[ppio::entrypoint]
//! async fn agent(
//!     question: Question,
//!     context: &RequestContext,
//! ) -> Result<impl Stream<Item = String> + use<>, ppio::Error> {
//!     if question.prompt.is_empty() {
//!         return Err(ppio::Error::bad_request("ask something"));
//!     }
//!     tracing::info!(session = context.session_id(), "thinking");
//!     Ok(stream::iter(["Let ", "me ", "think."].map(str::to_owned)))
//! }
//! ```
//!
//! # The rest of the service
//!
//! - [`ping`] makes a function the health check, [`middleware`] wraps the routes.
//! - [`RuntimeConfig`] lists every setting, its environment variable and its default.
//! - [`task::spawn`] starts work that outlives its request.
//! - [`testing`] calls an agent without a socket.
//! - [`AgentRuntimeApp::builder`] does all of this with closures and without a macro, and
//!   [`AgentRuntimeApp::into_service`] mounts the agent in another server.
//!
//! # Cancellation and deadlines
//!
//! A client that goes away cancels its invocation: the handler's future is dropped. A handler that
//! has not answered within [`RuntimeConfig::timeout`] is dropped as well, and the caller gets a 504.
//! Synchronous code cannot be stopped from outside; it asks [`RequestContext::is_cancelled`].
//!
//! On SIGTERM and SIGINT the service stops accepting connections, lets running requests and
//! background tasks finish within [`RuntimeConfig::shutdown_grace`], and cuts what is left.

#![forbid(unsafe_code)]

mod app;
mod config;
mod endpoints;
mod exchange;
mod invocation;
mod server;
pub mod task;
pub mod testing;

pub use app::{
    AgentRuntimeApp, AgentRuntimeAppBuilder, BuilderEntrypoint, SourceLocation, StartError, run,
};
pub use config::RuntimeConfig;
pub use config::settings::ConfigError;
pub use endpoints::ping::IntoPing;
pub use exchange::body::{Body, BodyEnd, Request, Response};
pub use exchange::context::{AgentRuntimeContext, RequestContext};
pub use exchange::error::{BoxError, Error};
/// The HTTP types that this crate's own are made of, such as [`http::StatusCode`].
pub use http;
pub use invocation::reply::{IntoReply, Json, Sse, SseIter};
/// Makes a function the agent's entrypoint and writes `main`; see the [crate's page](crate) for the
/// signatures.
///
/// ```no_run
/// use std::time::Duration;
/// use ppio::{RequestContext, RuntimeConfig, Value};
///
/// #[ppio::entrypoint(config = RuntimeConfig::new().timeout(Duration::from_secs(600)))]
/// async fn agent(request: Value, context: RequestContext) -> Result<Value, std::io::Error> {
///     println!("{} asks", context.session_id().unwrap_or("somebody"));
///     Ok(request)
/// }
/// ```
///
/// The function stays what it was: it can be called and unit-tested under its own name. Where it
/// does not stand in the crate's root, the `main` there calls [`run`].
pub use ppio_agent_macros::entrypoint;
/// Wraps a function around `/invocations`, or with `all` around every route.
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
/// It can read and replace the request and the response, answer without going on, and hand values
/// to the entrypoint (`request.extensions_mut().insert(user)`, then
/// [`RequestContext::extension`]). The lowest order is outermost; ties go in source order.
pub use ppio_agent_macros::middleware;
/// Makes a function the agent's health check, asked at `GET /ping`.
///
/// ```no_run
/// # #[ppio::entrypoint] async fn agent(request: ppio::Value) -> ppio::Value { request }
/// use ppio::PingStatus;
///
/// #[ppio::ping]
/// async fn health() -> Result<PingStatus, std::io::Error> {
///     // look at what the agent depends on
///     Ok(PingStatus::Healthy)
/// }
/// ```
///
/// It takes nothing, is `async` or not, and returns an [`IntoPing`]. A check that fails is a 500
/// that says `HealthyBusy`, so that a platform does not reclaim the sandbox for it. While
/// [`task`]s run, the answer says `HealthyBusy` by itself.
pub use ppio_agent_macros::ping;
pub use ppio_agent_protocol::{
    ByteSize, InvocationRequest, InvocationResponse, PingResponse, PingStatus,
};
pub use serde_json::{Value, json};
pub use server::AgentRuntimeServer;
pub use server::middleware::{IntoResponse, Next};
pub use server::service::AgentService;

/// What the expansion of the macros calls. Not for use by hand; it may change at any time.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
    #[cfg(feature = "schema")]
    pub use ppio_agent_schema as schema;

    pub use crate::__entrypoint_schema as entrypoint_schema;
    pub use crate::app::{
        EntrypointRegistration, MiddlewareRegistration, PingRegistration, SourceLocation,
    };
    #[cfg(feature = "schema")]
    pub use crate::endpoints::entrypoint_schema::EntrypointSchema;
    #[cfg(not(feature = "schema"))]
    pub use crate::endpoints::entrypoint_schema::SchemaFunction;
    pub use crate::endpoints::ping::{into_ping, ping_on_blocking_thread, ping_on_worker};
    /// Finds the kind of a returned value by its type.
    pub mod autoref {
        pub use crate::invocation::autoref::*;
    }
    pub use crate::invocation::autoref::fail;
    pub use crate::invocation::handler::{
        context, on_blocking_thread, on_worker, pass_context, request,
    };
    pub use crate::server::middleware::{into_response, middleware, pass_next, pass_request};
}
