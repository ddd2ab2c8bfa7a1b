//! The end of a run: the end is decided only once, and becomes visible when the journal has written
//! it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, SystemTime};

use ppio_agent_protocol::RunStatus;

use super::super::answer::{Answer, RunOutcome};
use super::super::journal::Journal;
use super::super::journal::record::Record;
use super::Run;
use super::state::RunState;
use crate::exchange::error::Error;
use crate::exchange::policies::OnDisconnect;
use crate::exchange::rejection::Rejection;

impl Run {
    /// Ends the run as cancelled.
    pub(crate) fn cancel(self: &Arc<Self>, reason: &'static str) {
        let duration = self.started_at.elapsed().unwrap_or_default();
        self.fail(Rejection::Cancelled { reason }.into(), duration);
    }

    /// Ends the run with an error.
    pub(in crate::runs) fn fail(self: &Arc<Self>, error: Error, duration: Duration) {
        let (status, answer) = Answer::of_error(error, duration);
        self.end(status, answer);
    }

    /// Ends a run whose function was not called and that is removed from the registry. Its callers
    /// get the error once the journal has deleted the run, so that the run is not restored and does
    /// not occupy its idempotency key.
    pub(in crate::runs) fn refuse(self: &Arc<Self>, error: Error, duration: Duration) {
        let (status, answer) = Answer::of_error(error, duration);
        let Some((mut state, end, journal)) = self.decide_end(status, answer) else {
            return;
        };
        state.ending = Some(end);
        let run = Arc::clone(self);
        journal.then(move || run.finish_ending(run.state()));
    }

    /// Ends the run. This does nothing if the run already has an end.
    pub(in crate::runs) fn end(self: &Arc<Self>, status: RunStatus, answer: Answer) {
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

    /// Decides the end of a run, and returns it for the journal to write. Returns `None` if the run
    /// already has an end, or if it has no journal; without a journal, the run ends immediately.
    fn decide_end(
        &self,
        status: RunStatus,
        answer: Answer,
    ) -> Option<(MutexGuard<'_, RunState>, RunOutcome, &Journal)> {
        let state = self.state();
        if !state.is_open() {
            return None;
        }
        self.total_size.fetch_add(answer.size(), Ordering::Relaxed);
        let end = RunOutcome {
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

    /// Makes the decided end visible, after the journal has processed it.
    fn finish_ending(&self, mut state: MutexGuard<'_, RunState>) {
        if let Some(end) = state.ending.take() {
            self.finish(state, end);
        }
    }

    /// Makes an end visible to readers.
    pub(super) fn finish(&self, mut state: MutexGuard<'_, RunState>, end: RunOutcome) {
        state.log.seal();
        state.end = Some(end);
        let continued = state.on_disconnect == OnDisconnect::Continue;
        if state.readers.is_empty() {
            self.shorten_answer(&mut state);
        }
        state.readers.wake();
        state.wake_producer();
        drop(state);
        self.recording.notify_waiters();
        if let Some(owner) = self.owner.upgrade() {
            owner.ended(self.number, continued);
        }
    }

    /// Drops the part of the answer that was kept only for the current readers.
    pub(super) fn shorten_answer(&self, state: &mut RunState) {
        if let Some(RunOutcome { answer, .. }) = &mut state.end {
            let size = answer.size();
            *answer = std::mem::replace(answer, Answer::Dropped).kept(self.max_size);
            let dropped = size - answer.size();
            self.total_size.fetch_sub(dropped, Ordering::Relaxed);
        }
    }
}
