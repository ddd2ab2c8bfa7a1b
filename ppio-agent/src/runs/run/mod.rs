//! One run: its log, its readers, and its end.

mod ending;
pub(super) mod production;
pub(super) mod reading;
mod recording;
pub(super) mod state;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use bytes::Bytes;
use http::StatusCode;
use ppio_agent_protocol::{ByteSize, RunStatus};
use tokio::sync::Notify;

use self::state::{LoggedHead, RunState};
use super::RunSettings;
use super::answer::Answer;
use super::caller::RunCaller;
use super::inspection::{Inspection, InspectionSummary};
use super::journal::Journal;
use super::journal::record::ITEMS_OVERHEAD;
use super::log::RunLog;
use super::tag::RunTag;
use crate::exchange::policies::OnDisconnect;
use crate::exchange::rejection::Rejection;
use crate::exchange::request_id::RequestId;

/// An invocation whose answer can be read more than once, and after its caller has disconnected.
pub(crate) struct Run {
    pub(super) id: RequestId,
    pub(super) caller: RunCaller,
    /// The position in the order of all runs.
    pub(super) number: u64,
    pub(super) started_at: SystemTime,
    /// Present if a protocol started the run.
    #[cfg_attr(not(feature = "chat"), allow(dead_code, reason = "protocols read it"))]
    pub(super) tag: Option<RunTag>,
    owner: Weak<dyn RunOwner>,
    journal: Option<Journal>,
    /// The size of the logs, answers, tags and inspections of all runs, in bytes.
    total_size: Arc<AtomicUsize>,
    max_size: usize,
    /// Notifies tasks when the journal has written the start of the run, and when the run ends.
    recording: Notify,
    /// The time at which the caller stated that it will not send the input that the ended run waits
    /// for. The time is not written to the journal.
    #[cfg(feature = "a2a")]
    withdrawn_at: std::sync::OnceLock<SystemTime>,
    state: Mutex<RunState>,
}

/// The methods of the registry that a run calls.
pub(super) trait RunOwner: Send + Sync {
    fn settings(&self) -> &RunSettings;

    /// Returns the size of the logs, answers, tags and inspections of all runs, in bytes.
    fn total_size(&self) -> &Arc<AtomicUsize>;

    /// Counts a running run whose policy is `continue` from now on.
    fn count_continuing(&self);

    /// Drops ended runs without readers, the oldest first, while the total size of all runs is over
    /// the limit. Returns whether the total size is then within the limit.
    fn make_room(&self) -> bool;

    /// Keeps a run that has just ended until its retention is over.
    fn ended(self: Arc<Self>, number: u64, continued: bool);

    /// Removes a run whose function was not called.
    fn forget(&self, run: &Run);
}

/// The state of a run, for the endpoints.
pub(crate) struct RunView {
    pub(super) id: RequestId,
    pub(super) session: Option<String>,
    pub(super) on_disconnect: OnDisconnect,
    pub(super) started_at: SystemTime,
    pub(super) ended_at: Option<SystemTime>,
    pub(super) status: RunStatus,
    pub(super) items: u64,
    pub(super) is_stream: bool,
    pub(super) response_status: Option<StatusCode>,
    pub(super) answer: Option<Answer>,
    pub(super) inspection: Option<InspectionSummary>,
}

/// The initial values of a run.
pub(super) struct NewRun {
    pub(super) id: RequestId,
    pub(super) caller: RunCaller,
    pub(super) number: u64,
    pub(super) on_disconnect: OnDisconnect,
    /// Whether the run waits for a disconnected caller to reconnect before the run is cancelled.
    pub(super) waits_for_caller: bool,
    pub(super) tag: Option<RunTag>,
}

impl Run {
    pub(super) fn new(new: NewRun, owner: &Arc<dyn RunOwner>, journal: Option<Journal>) -> Self {
        let settings = owner.settings();
        let overhead = journal.as_ref().map_or(0, |_| ITEMS_OVERHEAD);
        let log = RunLog::new(1, settings.max_size, overhead);
        let mut state = RunState::new(new.on_disconnect, log);
        state.is_recorded = journal.is_none();
        if new.waits_for_caller {
            state.grace = settings.reconnect_grace;
        }
        let tag = new.tag;
        let total_size = Arc::clone(owner.total_size());
        // `Drop` subtracts this size again.
        total_size.fetch_add(tag.as_ref().map_or(0, RunTag::size), Ordering::Relaxed);
        Self {
            id: new.id,
            caller: new.caller,
            number: new.number,
            started_at: SystemTime::now(),
            tag,
            owner: Arc::downgrade(owner),
            total_size,
            max_size: settings.max_size,
            recording: Notify::new(),
            #[cfg(feature = "a2a")]
            withdrawn_at: std::sync::OnceLock::new(),
            state: Mutex::new(state),
            journal,
        }
    }

    /// Locks the state, which stays valid if a waker panics.
    fn state(&self) -> MutexGuard<'_, RunState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the id, which is the `x-request-id` of the first answer.
    #[cfg(feature = "chat")]
    pub(crate) fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Returns the tag by which the protocol that started the run finds the run.
    #[cfg(feature = "chat")]
    pub(crate) fn tag(&self) -> Option<&RunTag> {
        self.tag.as_ref()
    }

    #[cfg(feature = "chat")]
    pub(crate) fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// Records that the input that the ended run waits for will not be sent. Returns `false` if
    /// this was already recorded.
    #[cfg(feature = "a2a")]
    pub(crate) fn withdraw(&self) -> bool {
        self.withdrawn_at.set(SystemTime::now()).is_ok()
    }

    /// Returns the time at which [`withdraw`](Self::withdraw) was first called.
    #[cfg(feature = "a2a")]
    pub(crate) fn withdrawn_at(&self) -> Option<SystemTime> {
        self.withdrawn_at.get().copied()
    }

    pub(crate) fn status(&self) -> RunStatus {
        self.state().status()
    }

    /// Returns the error for a caller that requests an answer that was not kept.
    pub(super) fn answer_gone(&self) -> Rejection {
        Rejection::AnswerGone {
            limit: ByteSize::new(self.max_size as u64),
        }
    }

    /// Returns the time at which the run ended; `None` while the run is running.
    pub(crate) fn ended_at(&self) -> Option<SystemTime> {
        self.state().end.as_ref().map(|end| end.ended_at)
    }

    /// Whether a reader that disconnected before the end may reconnect to read the end.
    #[cfg(feature = "ui-stream")]
    pub(crate) fn is_awaited(&self) -> bool {
        self.state().left_early > 0
    }

    pub(super) fn has_readers(&self) -> bool {
        !self.state().readers.is_empty()
    }

    pub(crate) fn view(&self) -> RunView {
        let state = self.state();
        let response_status = match &state.head {
            Some(LoggedHead::Response(head)) => Some(head.0),
            _ => None,
        };
        RunView {
            id: self.id.clone(),
            session: self.caller.session().map(str::to_owned),
            on_disconnect: state.on_disconnect,
            started_at: self.started_at,
            ended_at: state.end.as_ref().map(|end| end.ended_at),
            status: state.status(),
            items: state.items(),
            is_stream: matches!(state.head, Some(LoggedHead::Events)),
            response_status,
            answer: state.end.as_ref().map(|end| end.answer.clone()),
            inspection: state.inspection.as_ref().map(Inspection::summary),
        }
    }

    /// Returns the members of the inspection that the view does not have, as a JSON object.
    pub(super) fn inspection_details(&self) -> Option<Bytes> {
        let state = self.state();
        let inspection = state.inspection.as_ref()?;
        Some(inspection.to_json())
    }

    /// Keeps the request, and records the times and the tokens of the items from now on.
    pub(super) fn inspect_request(&self, request: Bytes) {
        let inspection = Inspection::of(request);
        // `Drop` subtracts this size again.
        self.total_size
            .fetch_add(inspection.size(), Ordering::Relaxed);
        self.state().inspection = Some(inspection);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let answer = state.end.as_ref().map_or(0, |end| end.answer.size());
        let tag = self.tag.as_ref().map_or(0, RunTag::size);
        let inspection = state.inspection.as_ref().map_or(0, Inspection::size);
        let size = state.log.size() + answer + tag + inspection;
        self.total_size.fetch_sub(size, Ordering::Relaxed);
    }
}
