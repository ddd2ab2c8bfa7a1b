//! Invocations: a question to an agent, and what comes back.

mod answer;
mod caller_headers;
mod failure;
mod invoke;
mod kind;
mod payload;
mod request_id;
mod source;
mod stream;

pub use answer::Answer;
pub use invoke::Invoke;
pub use kind::{AnswerKind, Auto, Envelope, Streamed, Typed};
pub use stream::InvocationStream;

pub(crate) use caller_headers::CallerHeaders;
