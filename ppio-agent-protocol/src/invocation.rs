//! `POST /invocations`: what is asked and what is answered.

mod request;
mod response;

pub use request::InvocationRequest;
pub use response::{InvocationResponse, InvocationStatus};
