//! Invocations of an agent, and its responses.

mod caller_headers;
mod error_response;
mod invoke;
mod invoke_call;
mod items;
mod options;
mod request_body;
mod request_id;
mod response;
mod session_invoke;
mod stream;

pub use invoke::Invoke;
pub use response::InvocationOutput;
pub use stream::InvocationStream;

pub(crate) use options::InvokeOptions;
