//! Invocations: a question to an agent, and what comes back.

mod caller_headers;
mod error_response;
mod invoke;
mod items;
mod kind;
mod request_body;
mod request_id;
mod response;
mod session_invoke;
mod stream;

pub use invoke::Invoke;
pub use kind::{AnswerKind, Auto, Envelope, Streamed, Typed};
pub use response::Answer;
pub use stream::InvocationStream;

pub(crate) use caller_headers::CallerHeaders;
