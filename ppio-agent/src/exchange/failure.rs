//! The error of an invocation, as protocols read it.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::rejection::Rejection;

/// Why an invocation failed, as sent to its caller. In a stream that a protocol reads, the failure
/// is the last event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// The text of the error.
    pub(crate) message: String,
    /// The name that programs match on.
    pub(crate) error_type: String,
    /// The status of the response, if it has not begun.
    pub(crate) status: u16,
    /// Whether the invocation was ended from outside.
    pub(crate) is_cancellation: bool,
}

impl Failure {
    /// Returns the failure that an error causes.
    pub(crate) fn of(error: &Error, request_id: &str) -> Self {
        let rejection = error.rejection();
        Self {
            message: error.response_text(request_id).into_owned(),
            error_type: error.error_type().to_owned(),
            status: error.status().as_u16(),
            is_cancellation: rejection.is_some_and(Rejection::is_cancellation),
        }
    }

    /// Converts the failure back into an error with the same text, type and status.
    pub(crate) fn into_error(self) -> Error {
        let status = StatusCode::from_u16(self.status);
        Error::new(status.unwrap_or_default(), self.message).with_type(self.error_type)
    }
}
