//! The bodies of `POST /invocations`.

mod request;
mod response;

pub use request::InvocationRequest;
pub use response::{InvocationResponse, InvocationStatus};
