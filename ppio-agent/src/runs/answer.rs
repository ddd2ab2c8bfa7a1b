//! The answer with which a run ended.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ppio_agent_protocol::RunStatus;

use crate::exchange::error::Error;
use crate::exchange::json;
use crate::exchange::rejection::Rejection;
use crate::exchange::requested_format::RequestedFormat;
use crate::runs::json_size::{beginning, escaped_size};

/// The end of a run: its status, its answer and its time.
#[derive(Clone)]
pub(super) struct RunOutcome {
    pub(super) status: RunStatus,
    pub(super) answer: Answer,
    pub(super) ended_at: SystemTime,
}

/// The answer with which a run ended.
#[derive(Clone)]
pub(super) enum Answer {
    /// The items or the response that the log holds.
    Logged,
    /// A value.
    Value(KeptValue),
    /// An error before or within the answer, and the duration of the run.
    Failed(Error, Duration),
    /// An answer that was too large to keep.
    Dropped,
}

/// The maximum size of an error's type as JSON, in bytes, if the texts of the error are too long to
/// keep.
const MAX_ERROR_TYPE: usize = 256;

/// A value that is kept for callers of every response format.
#[derive(Clone)]
pub(super) struct KeptValue {
    /// The value in JSON.
    pub(super) json: Bytes,
    /// The envelope, if the handler filled it.
    pub(super) envelope: Option<Bytes>,
    pub(super) duration: Duration,
}

impl Answer {
    /// Returns the status and the answer of a run that failed.
    pub(super) fn of_error(error: Error, duration: Duration) -> (RunStatus, Self) {
        let status = if error.rejection().is_some_and(Rejection::is_cancellation) {
            RunStatus::Cancelled
        } else {
            RunStatus::Error
        };
        (status, Self::Failed(error, duration))
    }

    /// Returns the number of bytes that the answer holds in memory, without the log.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Value(value) => value.json.len() + value.envelope.as_ref().map_or(0, Bytes::len),
            Self::Failed(error, _) => {
                let body = error.body().map_or(0, Bytes::len);
                error.message().len() + error.error_type().len() + body
            }
            Self::Logged | Self::Dropped => 0,
        }
    }

    /// Returns the answer to keep for later readers, in memory and in the journal: without a value
    /// over `max_size`, and with as much of the texts of an error as fits.
    pub(super) fn kept(self, max_size: usize) -> Self {
        match self {
            Self::Value(_) if self.size() > max_size => Self::Dropped,
            Self::Failed(error, duration) => Self::Failed(kept_error(error, max_size), duration),
            answer => answer,
        }
    }

    /// Returns the envelope for a caller that does not request a format; `None` if the answer is in
    /// the log or was dropped.
    pub(super) fn envelope(&self, id: &str) -> Option<Bytes> {
        match self {
            Self::Value(value) => Some(value.body(RequestedFormat::Envelope, id)),
            Self::Failed(error, duration) => Some(
                error
                    .body()
                    .cloned()
                    .unwrap_or_else(|| json::error_body(error, *duration, id)),
            ),
            Self::Logged | Self::Dropped => None,
        }
    }
}

/// Returns the error without its sources, which are in the agent's log. `max_size` limits the size
/// of the error's JSON in the journal, in bytes.
fn kept_error(error: Error, max_size: usize) -> Error {
    let error = error.without_source();
    let error_type = escaped_size(error.error_type().as_bytes());
    let texts = escaped_size(error.message().as_bytes()) + error_type;
    let body = error.body().map_or(0, |body| escaped_size(body));
    if texts.saturating_add(body) <= max_size {
        return error;
    }
    if texts <= max_size {
        return error.without_body();
    }
    let error_type = beginning(error.error_type(), MAX_ERROR_TYPE.min(max_size));
    let left = max_size - escaped_size(error_type.as_bytes());
    let message = beginning(error.message(), left);
    Error::new(error.status(), message).with_type(error_type.to_owned())
}

impl KeptValue {
    pub(super) fn body(&self, format: RequestedFormat, id: &str) -> Bytes {
        match &self.envelope {
            Some(envelope) if format.has_envelope() => envelope.clone(),
            _ => json::success_body(&self.json, format, self.duration, id),
        }
    }
}
