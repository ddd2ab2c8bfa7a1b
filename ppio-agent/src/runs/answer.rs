//! What a run ended with.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ppio_agent_protocol::RunStatus;

use crate::exchange::error::Error;
use crate::exchange::json;
use crate::exchange::rejection::Rejection;
use crate::exchange::requested_format::RequestedFormat;

/// How a run ended.
#[derive(Clone)]
pub(super) struct RunEnd {
    pub(super) status: RunStatus,
    pub(super) answer: Answer,
    pub(super) ended_at: SystemTime,
}

/// What a run ended with.
#[derive(Clone)]
pub(super) enum Answer {
    /// The items of the log, or the response in it.
    Logged,
    /// A value.
    Value(KeptValue),
    /// An error, before the answer or in the middle of it.
    Failed(Error, Duration),
    /// A value that was too large to keep.
    Dropped,
}

/// A value, for callers of every format.
#[derive(Clone)]
pub(super) struct KeptValue {
    /// The value in JSON.
    pub(super) json: Bytes,
    /// The envelope, where the handler filled it.
    pub(super) envelope: Option<Bytes>,
    pub(super) duration: Duration,
}

impl Answer {
    /// The answer of a run that failed, with its status.
    pub(super) fn of_error(error: Error, duration: Duration) -> (RunStatus, Self) {
        let status = if error.rejection().is_some_and(Rejection::is_cancellation) {
            RunStatus::Cancelled
        } else {
            RunStatus::Error
        };
        (status, Self::Failed(error, duration))
    }

    /// How much memory it holds, beside the log.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Value(value) => value.json.len() + value.envelope.as_ref().map_or(0, Bytes::len),
            _ => 0,
        }
    }

    /// The envelope that a caller without a format of its own gets.
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

impl KeptValue {
    pub(super) fn body(&self, format: RequestedFormat, id: &str) -> Bytes {
        match &self.envelope {
            Some(envelope) if format.has_envelope() => envelope.clone(),
            _ => json::success_body(&self.json, format, self.duration, id),
        }
    }
}
