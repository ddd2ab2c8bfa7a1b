//! Serves an agent on a socket and reads its responses.

mod response;
mod server;

pub(crate) use response::{Expected, HttpResponse, teapot};
pub(crate) use server::{get, invoke, invoke_with};
