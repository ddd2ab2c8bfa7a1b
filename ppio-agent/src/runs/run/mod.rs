//! One run: its log, its readers, and its end.

mod recording;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use ppio_agent_protocol::{ByteSize, RunStatus};
use tokio::sync::Notify;

use super::RunSettings;
use super::answer::{Answer, RunEnd};
use super::caller::RunCaller;
use super::inspection::{Inspection, InspectionSummary};
use super::journal::record::{ITEMS_OVERHEAD, Record};
use super::journal::{Journal, log_limit};
use super::log::{Cursor, RunLog};
use super::readers::Readers;
use super::tag::RunTag;
use crate::exchange::error::Error;
use crate::exchange::policies::OnDisconnect;
use crate::exchange::rejection::Rejection;
use crate::exchange::request_id::RequestId;
use crate::invocation::event_buffer::HIGH_WATER;

/// While other runs take all the memory, a run may still hold this much, so that it goes on.
const MIN_ROOM: usize = 32 * 1024;

/// While the journal writes this much, the producer waits.
const MAX_UNWRITTEN: usize = 2 * HIGH_WATER;

/// An invocation whose answer can be read more than once, and after its caller has left.
pub(crate) struct Run {
    pub(super) id: RequestId,
    pub(super) caller: RunCaller,
    /// The place in the order of all runs.
    pub(super) number: u64,
    pub(super) started_at: SystemTime,
    /// Where a protocol started it.
    #[cfg_attr(not(feature = "chat"), allow(dead_code, reason = "protocols read it"))]
    pub(super) tag: Option<RunTag>,
    owner: Weak<dyn RunOwner>,
    journal: Option<Journal>,
    /// The size of the logs, answers and tags of all runs.
    total_size: Arc<AtomicUsize>,
    max_size: usize,
    /// Notifies those that wait for the journal to have the run, or its end.
    recording: Notify,
    /// When its caller said that it will not give the input that the run ended with waiting for. It is
    /// not written to the journal.
    #[cfg(feature = "a2a")]
    withdrawn_at: std::sync::OnceLock<SystemTime>,
    state: Mutex<RunState>,
}

/// What keeps the runs, which a run reports to.
pub(super) trait RunOwner: Send + Sync {
    fn settings(&self) -> &RunSettings;

    /// The size of the logs, answers and tags of all runs.
    fn total_size(&self) -> &Arc<AtomicUsize>;

    /// A run continues from now on without a reader.
    fn count_continuing(&self);

    /// Drops ended runs while all together are over the limit, the oldest first. Returns whether
    /// they are below it.
    fn make_room(&self) -> bool;

    /// Keeps a run that has ended for some time.
    fn ended(self: Arc<Self>, number: u64, continued: bool);

    /// Forgets a run whose function was not called.
    fn forget(&self, run: &Run);
}

struct RunState {
    on_disconnect: OnDisconnect,
    /// How long a run that is cancelled without readers waits for one.
    grace: Duration,
    /// Since when it waits.
    unattended_since: Option<Instant>,
    head: Option<Head>,
    log: RunLog,
    inspection: Option<Inspection>,
    end: Option<RunEnd>,
    /// The end while the journal writes it. Nothing is appended after it.
    ending: Option<RunEnd>,
    /// Whether the answer has begun, for the producer.
    begun: bool,
    /// Whether the journal has the run. Without a journal it need not.
    is_recorded: bool,
    /// The size of the items that the journal writes now.
    unwritten: usize,
    readers: Readers,
    /// How many readers left before the end, and have not come back.
    left_early: usize,
    producer: Option<Waker>,
    /// Whether the producer waits for the slowest reader.
    waits_for_room: bool,
}

/// How the answer begins, where it is not a value or an error.
#[derive(Clone)]
pub(super) enum Head {
    /// An event stream.
    Events,
    /// A response that the handler made. The log has its bytes.
    Response(Arc<(StatusCode, HeaderMap)>),
}

/// What a caller that waits for the answer gets.
pub(super) enum AnswerHead {
    Logged(Head),
    Ended(Answer),
}

/// What a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadFormat {
    Events,
    EventsWithIds,
    /// The bytes of a response that the handler made.
    Response,
}

/// What a reader gets next.
pub(super) enum Read {
    /// Whole items, or a part of a response.
    Data(Bytes),
    /// There is no more.
    End(RunEnd),
}

/// What the producer may do.
pub(super) enum Permission {
    /// Produce. Without readers the run is cancelled at the given time.
    Produce(Option<Instant>),
    /// Wait until the slowest reader has read more.
    Wait,
    /// End: the run was cancelled.
    End(Option<Error>),
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

/// What a run begins with.
pub(super) struct NewRun {
    pub(super) id: RequestId,
    pub(super) caller: RunCaller,
    pub(super) number: u64,
    pub(super) on_disconnect: OnDisconnect,
    /// Whether a caller that left may come back for a while before the run is cancelled.
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
        // `Drop` subtracts it.
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

    /// The state stays valid if a waker panics.
    fn state(&self) -> MutexGuard<'_, RunState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id, which the `x-request-id` of the first answer is.
    #[cfg(feature = "chat")]
    pub(crate) fn id(&self) -> &str {
        self.id.as_str()
    }

    /// What the protocol that started the run finds it by.
    #[cfg(feature = "chat")]
    pub(crate) fn tag(&self) -> Option<&RunTag> {
        self.tag.as_ref()
    }

    #[cfg(feature = "chat")]
    pub(crate) fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// Notes that the input that the run ended with waiting for will not be given. Returns whether that
    /// is new.
    #[cfg(feature = "a2a")]
    pub(crate) fn withdraw(&self) -> bool {
        self.withdrawn_at.set(SystemTime::now()).is_ok()
    }

    /// When [`withdraw`](Self::withdraw) was called.
    #[cfg(feature = "a2a")]
    pub(crate) fn withdrawn_at(&self) -> Option<SystemTime> {
        self.withdrawn_at.get().copied()
    }

    pub(crate) fn status(&self) -> RunStatus {
        self.state().status()
    }

    /// The error of a caller that asks for an answer that was not kept.
    pub(super) fn answer_gone(&self) -> Rejection {
        Rejection::AnswerGone {
            limit: ByteSize::new(self.max_size as u64),
        }
    }

    /// When the run ended.
    pub(crate) fn ended_at(&self) -> Option<SystemTime> {
        self.state().end.as_ref().map(|end| end.ended_at)
    }

    /// Whether a reader left before the end that may come back for it.
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
            Some(Head::Response(head)) => Some(head.0),
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
            is_stream: matches!(state.head, Some(Head::Events)),
            response_status,
            answer: state.end.as_ref().map(|end| end.answer.clone()),
            inspection: state.inspection.as_ref().map(Inspection::summary),
        }
    }

    /// What is known beside the summary in the view, as a JSON object.
    pub(super) fn inspection_details(&self) -> Option<Bytes> {
        let state = self.state();
        let inspection = state.inspection.as_ref()?;
        Some(inspection.to_json())
    }

    /// Keeps the request, and from now on what the items say.
    pub(super) fn inspect_request(&self, request: Bytes) {
        let inspection = Inspection::of(request);
        // `Drop` subtracts it.
        self.total_size
            .fetch_add(inspection.size(), Ordering::Relaxed);
        self.state().inspection = Some(inspection);
    }

    // The side of the caller.

    /// Adds a reader after an item; 0 is the start. [`leave`](Self::leave) removes it.
    pub(super) fn attach(&self, after: u64) -> Result<(usize, Cursor), Rejection> {
        let mut state = self.state();
        let last = state.items();
        if after > last {
            return Err(Rejection::UnknownEventId { found: after, last });
        }
        let first = state.log.first();
        // An ended stream can still be read from its last item on, to get its end.
        if after + 1 < first {
            return Err(Rejection::EventsGone { last: first - 1 });
        }
        state.unattended_since = None;
        state.left_early = state.left_early.saturating_sub(1);
        Ok((state.readers.add(after + 1), Cursor::after(after)))
    }

    /// Removes a reader. Without readers a run is cancelled, if that is its policy.
    pub(super) fn leave(self: &Arc<Self>, reader: usize) {
        let mut state = self.state();
        let has_end = state.readers.remove(reader);
        // Of a run that leaving cancels, a reader expects no more.
        if !has_end && state.on_disconnect == OnDisconnect::Continue {
            state.left_early += 1;
        }
        state.wake_producer();
        if !state.readers.is_empty() {
            return;
        }
        if state.end.is_some() {
            self.drop_large_answer(&mut state);
        } else if state.is_open() && state.on_disconnect == OnDisconnect::Cancel {
            if state.grace.is_zero() {
                drop(state);
                self.cancel("its last reader has left");
            } else {
                state.unattended_since = Some(Instant::now());
            }
        }
    }

    /// Makes the run continue without readers.
    pub(super) fn keep_running(&self) {
        let mut state = self.state();
        if state.is_open() && state.on_disconnect == OnDisconnect::Cancel {
            state.on_disconnect = OnDisconnect::Continue;
            state.unattended_since = None;
            // Under the lock, so that the end is counted later.
            if let Some(owner) = self.owner.upgrade() {
                owner.count_continuing();
            }
        }
    }

    /// Waits until the answer begins.
    pub(super) fn poll_answer(&self, reader: usize, cx: &mut Context<'_>) -> Poll<AnswerHead> {
        let mut state = self.state();
        if let Some(head) = &state.head {
            return Poll::Ready(AnswerHead::Logged(head.clone()));
        }
        if let Some(end) = &state.end {
            let answer = end.answer.clone();
            state.readers.reach_end(reader);
            return Poll::Ready(AnswerHead::Ended(answer));
        }
        state.readers.wait(reader, cx.waker());
        Poll::Pending
    }

    /// Waits for more than a reader has read.
    pub(super) fn poll_read(
        &self,
        reader: usize,
        cursor: &mut Cursor,
        format: ReadFormat,
        cx: &mut Context<'_>,
    ) -> Poll<Read> {
        let mut state = self.state();
        loop {
            let data = state.log.read(cursor, format == ReadFormat::EventsWithIds);
            if data.is_empty() {
                break;
            }
            state.readers.advance(reader, cursor.next);
            if std::mem::take(&mut state.waits_for_room) {
                state.wake_producer();
            }
            // A response that the handler made has no events.
            let is_response = matches!(state.head, Some(Head::Response(_)));
            if is_response == (format == ReadFormat::Response) {
                return Poll::Ready(Read::Data(data));
            }
        }
        if let Some(end) = &state.end {
            let end = end.clone();
            state.readers.reach_end(reader);
            return Poll::Ready(Read::End(end));
        }
        state.readers.wait(reader, cx.waker());
        Poll::Pending
    }

    // The side of the producer.

    /// Whether the producer may go on; otherwise it is woken when it may.
    pub(super) fn permission(&self, cx: &mut Context<'_>) -> Permission {
        let owner = self.owner.upgrade();
        let is_full = owner.is_some_and(|owner| !owner.make_room());
        let mut state = self.state();
        if let Some(end) = state.ending.as_ref().or(state.end.as_ref()) {
            return Permission::End(match &end.answer {
                Answer::Failed(error, _) => Some(error.clone()),
                _ => None,
            });
        }
        match &mut state.producer {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        let mut limit = match self.journal {
            Some(_) => log_limit(self.max_size),
            None => self.max_size,
        };
        if is_full {
            limit = limit.min(MIN_ROOM);
        }
        state.waits_for_room =
            state.unwritten >= MAX_UNWRITTEN || !self.make_room(&mut state, limit);
        if state.waits_for_room {
            return Permission::Wait;
        }
        Permission::Produce(state.unattended_since.map(|since| since + state.grace))
    }

    /// Drops the oldest items that every reader has read, as far as necessary.
    fn make_room(&self, state: &mut RunState, limit: usize) -> bool {
        let before = state.log.first();
        while state.log.size() + state.unwritten >= limit && state.log.size() > 0 {
            let end = state.log.end_of_oldest();
            if state.readers.slowest().is_some_and(|next| next < end) {
                return false;
            }
            let dropped = state.log.drop_oldest();
            self.total_size.fetch_sub(dropped, Ordering::Relaxed);
        }
        if let Some(journal) = &self.journal
            && state.log.first() > before
        {
            journal.trim(self.number, state.log.first());
        }
        true
    }

    /// Begins an answer that is not a value.
    pub(super) fn begin(self: &Arc<Self>, head: Head) {
        let mut state = self.state();
        if state.begun || !state.is_open() {
            return;
        }
        state.begun = true;
        let Some(journal) = &self.journal else {
            state.head = Some(head);
            state.readers.wake();
            return;
        };
        let run = Arc::clone(self);
        let record = Record::Head(head.to_stored());
        journal.write(self.number, record, move |_, written| {
            let mut state = run.state();
            match written {
                Ok(()) => {
                    state.head = Some(head);
                    state.readers.wake();
                }
                Err(error) => run.fail_unwritten(state, &error),
            }
        });
    }

    /// Appends items of a stream, or a part of a response.
    pub(super) fn append(self: &Arc<Self>, bytes: Vec<u8>, count: u64) {
        let mut state = self.state();
        if !state.is_open() {
            return;
        }
        let Some(journal) = &self.journal else {
            self.total_size.fetch_add(bytes.len(), Ordering::Relaxed);
            self.append_to_log(&mut state, bytes, count);
            state.readers.wake();
            return;
        };
        let size = bytes.len() + ITEMS_OVERHEAD;
        self.total_size.fetch_add(size, Ordering::Relaxed);
        state.unwritten += size;
        let run = Arc::clone(self);
        let record = Record::Items { count, bytes };
        // Under the lock, so that the records are in the order of the items.
        journal.write(self.number, record, move |record, written| {
            run.items_written(record, size, written);
        });
    }

    /// Appends what readers are sent to the log.
    fn append_to_log(&self, state: &mut RunState, bytes: Vec<u8>, count: u64) {
        if let Some(inspection) = &mut state.inspection {
            let time = self.started_at.elapsed().unwrap_or_default().as_millis();
            let time = u64::try_from(time).unwrap_or(u64::MAX);
            inspection.add(state.log.first(), state.log.items(), &bytes, time);
        }
        state.log.append(bytes, count);
    }

    /// Ends the run as cancelled.
    pub(crate) fn cancel(self: &Arc<Self>, reason: &'static str) {
        let duration = self.started_at.elapsed().unwrap_or_default();
        self.fail(Rejection::Cancelled { reason }.into(), duration);
    }

    /// Ends the run with an error.
    pub(super) fn fail(self: &Arc<Self>, error: Error, duration: Duration) {
        let (status, answer) = Answer::of_error(error, duration);
        self.end(status, answer);
    }

    /// Ends a run whose function was not called, and which is forgotten: its callers get the error once
    /// the journal has deleted the run. So it is not restored, and does not use its key.
    pub(super) fn refuse(self: &Arc<Self>, error: Error, duration: Duration) {
        let (status, answer) = Answer::of_error(error, duration);
        let Some((mut state, end, journal)) = self.decide_end(status, answer) else {
            return;
        };
        state.ending = Some(end);
        let run = Arc::clone(self);
        journal.then(move || run.finish_ending(run.state()));
    }

    /// Ends the run. An ended one does not change any more.
    pub(super) fn end(self: &Arc<Self>, status: RunStatus, answer: Answer) {
        let Some((mut state, end, journal)) = self.decide_end(status, answer) else {
            return;
        };
        let record = Record::End(end.to_stored(&self.id, state.on_disconnect, self.max_size));
        state.ending = Some(end);
        state.wake_producer();
        let run = Arc::clone(self);
        journal.write(self.number, record, move |_, written| {
            let state = run.state();
            match written {
                Ok(()) => run.finish_ending(state),
                Err(error) => run.fail_unwritten(state, &error),
            }
        });
    }

    /// The end of a run that has a journal and no end yet. Without a journal, the run ends at once.
    fn decide_end(
        &self,
        status: RunStatus,
        answer: Answer,
    ) -> Option<(MutexGuard<'_, RunState>, RunEnd, &Journal)> {
        let state = self.state();
        if !state.is_open() {
            return None;
        }
        self.total_size.fetch_add(answer.size(), Ordering::Relaxed);
        let end = RunEnd {
            status,
            answer,
            ended_at: SystemTime::now(),
        };
        let Some(journal) = &self.journal else {
            self.finish(state, end);
            return None;
        };
        Some((state, end, journal))
    }

    /// Makes the end visible that the journal has.
    fn finish_ending(&self, mut state: MutexGuard<'_, RunState>) {
        if let Some(end) = state.ending.take() {
            self.finish(state, end);
        }
    }

    /// Makes an end visible to readers.
    fn finish(&self, mut state: MutexGuard<'_, RunState>, end: RunEnd) {
        state.log.seal();
        state.end = Some(end);
        let continued = state.on_disconnect == OnDisconnect::Continue;
        if state.readers.is_empty() {
            self.drop_large_answer(&mut state);
        }
        state.readers.wake();
        state.wake_producer();
        drop(state);
        self.recording.notify_waiters();
        if let Some(owner) = self.owner.upgrade() {
            owner.ended(self.number, continued);
        }
    }

    /// Drops a value over the limit once its readers have it.
    fn drop_large_answer(&self, state: &mut RunState) {
        if let Some(RunEnd { answer, .. }) = &mut state.end
            && answer.size() > self.max_size
        {
            self.total_size.fetch_sub(answer.size(), Ordering::Relaxed);
            *answer = Answer::Dropped;
        }
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

impl RunState {
    fn new(on_disconnect: OnDisconnect, log: RunLog) -> Self {
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

    /// Whether it runs and nothing has decided its end.
    fn is_open(&self) -> bool {
        self.end.is_none() && self.ending.is_none()
    }

    fn status(&self) -> RunStatus {
        self.end
            .as_ref()
            .map_or(RunStatus::Running, |end| end.status)
    }

    /// The number of items; the parts of a response are none.
    fn items(&self) -> u64 {
        match self.head {
            Some(Head::Response(_)) => 0,
            _ => self.log.items(),
        }
    }

    fn wake_producer(&mut self) {
        if let Some(producer) = self.producer.take() {
            producer.wake();
        }
    }
}
