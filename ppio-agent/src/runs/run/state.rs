//! The state of a run that its lock protects.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use ppio_agent_protocol::RunStatus;

use super::super::answer::RunOutcome;
use super::super::inspection::Inspection;
use super::super::log::RunLog;
use super::super::readers::Readers;
use crate::exchange::policies::OnDisconnect;

/// The mutable state of a run: its log, its readers and its end.
pub(super) struct RunState {
    pub(super) on_disconnect: OnDisconnect,
    /// The time for which a run without readers waits for a reader before the run is cancelled.
    pub(super) grace: Duration,
    /// The time since which the run has waited for a reader.
    pub(super) unattended_since: Option<Instant>,
    pub(super) head: Option<LoggedHead>,
    pub(super) log: RunLog,
    pub(super) inspection: Option<Inspection>,
    pub(super) end: Option<RunOutcome>,
    /// The end while the journal writes it. No item is appended from then on.
    pub(super) ending: Option<RunOutcome>,
    /// Whether the producer has begun an answer that is not a value, even if `head` is not set yet.
    pub(super) begun: bool,
    /// Whether the journal has written the start of the run; true without a journal.
    pub(super) is_recorded: bool,
    /// The size of the items that the journal has not written yet, in bytes.
    pub(super) unwritten: usize,
    pub(super) readers: Readers,
    /// The number of readers of a run with the policy `continue` that disconnected before the end
    /// and have not reconnected.
    pub(super) left_early: usize,
    pub(super) producer: Option<Waker>,
    /// Whether the producer waits for the slowest reader or the journal.
    pub(super) waits_for_room: bool,
}

/// The beginning of an answer that is not a value or an error.
#[derive(Clone)]
pub(in crate::runs) enum LoggedHead {
    /// An event stream.
    Events,
    /// A response that the handler returned. The log holds the bytes of its body.
    Response(Arc<(StatusCode, HeaderMap)>),
}

impl RunState {
    pub(super) fn new(on_disconnect: OnDisconnect, log: RunLog) -> Self {
        Self {
            on_disconnect,
            grace: Duration::ZERO,
            unattended_since: None,
            head: None,
            log,
            inspection: None,
            end: None,
            ending: None,
            begun: false,
            is_recorded: true,
            unwritten: 0,
            readers: Readers::default(),
            left_early: 0,
            producer: None,
            waits_for_room: false,
        }
    }

    /// Whether the run has not ended and its end is not decided.
    pub(super) fn is_open(&self) -> bool {
        self.end.is_none() && self.ending.is_none()
    }

    pub(super) fn status(&self) -> RunStatus {
        self.end
            .as_ref()
            .map_or(RunStatus::Running, |end| end.status)
    }

    /// Returns the number of items; the chunks of a response do not count.
    pub(super) fn items(&self) -> u64 {
        match self.head {
            Some(LoggedHead::Response(_)) => 0,
            _ => self.log.items(),
        }
    }

    pub(super) fn wake_producer(&mut self) {
        if let Some(producer) = self.producer.take() {
            producer.wake();
        }
    }
}
