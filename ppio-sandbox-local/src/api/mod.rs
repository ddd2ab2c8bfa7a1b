//! Reads requests and writes error responses, for the control plane and the daemon.

mod api_error;
mod idempotent_answers;
mod json_body;
mod parameters;

pub(crate) use api_error::ApiError;
pub(crate) use idempotent_answers::{AnswerOrigin, IdempotentAnswers, idempotency_key};
pub(crate) use json_body::JsonBody;
pub(crate) use parameters::{Parameters, PathParameters};
