//! Calls an agent in-process, without a socket, in tests.
//!
//! ```
//! use ppio::testing::TestAgent;
//! use ppio::{AgentRuntimeApp, Value, json};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ppio::StartError> {
//! let app = AgentRuntimeApp::builder()
//!     .entrypoint(|request: Value| async move { json!({ "echo": request["prompt"] }) })
//!     .build()?;
//! let reply = TestAgent::new(app).invoke(&json!({ "prompt": "hi" })).await;
//! assert_eq!(reply.status(), 200);
//! assert_eq!(reply.value::<Value>().await, json!({ "echo": "hi" }));
//! # Ok(()) }
//! ```
//!
//! In the crate of an agent, [`TestAgent::annotated`] creates a test agent from the annotated
//! functions, including middleware and ping. The startup functions run before the first request;
//! [`AgentRuntimeApp::with_state`](crate::AgentRuntimeApp::with_state) replaces the states that
//! they build. If an answer is unexpected (not JSON, not a stream), the methods of [`TestReply`]
//! panic with the answer.
//!
//! [`cancel_at_every_await`] drops an invocation at every await point, and reports what the
//! invocation leaves behind.

mod cancellation;
mod test_agent;

pub use self::cancellation::{
    CancelAtEveryAwait, CancellationError, CancellationReport, LeftBehind, SourceLine, await_point,
    cancel_at_every_await, drain,
};
pub use self::test_agent::{TestAgent, TestReply, TestRequest};
