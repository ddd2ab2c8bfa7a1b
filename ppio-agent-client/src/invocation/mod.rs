//! Invocations of an agent, and its responses.

mod agent_call;
mod caller_headers;
mod cancellation;
mod error_response;
mod get;
mod invoke;
mod invoke_call;
mod items;
mod list_runs;
#[cfg(feature = "websocket")]
mod open_websocket;
mod options;
mod output;
mod path_request;
mod post;
mod request_body;
mod request_id;
mod response;
mod resume;
mod run;
mod run_calls;
mod run_end;
mod run_info;
mod session_invoke;
mod stream;
#[cfg(feature = "otel")]
mod trace_headers;

pub use invoke::Invoke;
pub use list_runs::ListRuns;
#[cfg(feature = "websocket")]
pub use open_websocket::OpenWebSocket;
pub use output::InvocationOutput;
pub use post::Post;
pub use run::Run;
pub use run_info::RunInfo;
pub use stream::InvocationStream;

pub(crate) use options::InvokeOptions;
