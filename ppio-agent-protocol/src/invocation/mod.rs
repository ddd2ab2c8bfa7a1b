//! The bodies of `POST /invocations`.

mod request;
mod response;
mod response_format;

pub use request::InvocationRequest;
#[doc(hidden)]
pub use response::ENVELOPE_NAME;
pub use response::{InvocationResponse, InvocationStatus};
pub use response_format::{InvalidResponseFormat, ResponseFormat};
