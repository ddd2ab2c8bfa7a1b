//! Writes a run to the journal, and restores it from the journal.

use std::io;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use ppio_agent_protocol::RunStatus;
use tokio::sync::Notify;

use super::super::answer::{Answer, RunOutcome};
use super::super::caller::RunCaller;
use super::super::journal::RecoveredRun;
use super::super::journal::record::{ITEMS_OVERHEAD, Record, time};
use super::super::log::RunLog;
use super::super::tag::RunTag;
use super::state::{LoggedHead, RunState};
use super::{Run, RunOwner};
use crate::exchange::policies::OnDisconnect;
use crate::exchange::rejection::Rejection;
use crate::exchange::request_id::RequestId;

impl Run {
    /// Returns a finished run of an earlier process; `None` if the records do not describe a run.
    pub(in crate::runs) fn restored(
        recovered: RecoveredRun,
        owner: &Arc<dyn RunOwner>,
    ) -> Option<Self> {
        let RecoveredRun { start, end, .. } = recovered;
        let max_size = owner.settings().max_size;
        let on_disconnect = if end.continues {
            OnDisconnect::Continue
        } else {
            OnDisconnect::Cancel
        };
        let mut log = RunLog::new(recovered.first, max_size, ITEMS_OVERHEAD);
        for (count, bytes) in recovered.items {
            log.append(bytes, count);
        }
        log.seal();
        let end = RunOutcome::restored(end)?;
        let tag = start.tag.map(|tag| *tag);
        let size = log.size() + end.answer.size() + tag.as_ref().map_or(0, RunTag::size);
        let mut state = RunState::new(on_disconnect, log);
        if let Some(head) = recovered.head {
            state.head = Some(LoggedHead::restored(head)?);
        }
        state.end = Some(end);
        // The process may have ended before the last reader received the end.
        state.left_early = usize::from(on_disconnect == OnDisconnect::Continue);
        let id = RequestId::parse(&start.id)?;
        // `Drop` subtracts the size again.
        let total_size = Arc::clone(owner.total_size());
        total_size.fetch_add(size, Ordering::Relaxed);
        Some(Self {
            id,
            caller: RunCaller::restored(start.session, start.credentials),
            number: recovered.number,
            started_at: time(start.started_at),
            tag,
            owner: Arc::downgrade(owner),
            journal: None,
            total_size,
            max_size,
            recording: Notify::new(),
            #[cfg(feature = "a2a")]
            withdrawn_at: std::sync::OnceLock::new(),
            state: Mutex::new(state),
        })
    }

    /// Writes the start of the run to the journal. The run starts only after this record is
    /// written.
    pub(in crate::runs) fn record_start(self: &Arc<Self>, record: impl FnOnce(&Self) -> Record) {
        let Some(journal) = &self.journal else {
            return;
        };
        let run = Arc::clone(self);
        journal.write(self.number, record(self), move |_, written| {
            match written {
                Ok(()) => {
                    run.state().is_recorded = true;
                    run.recording.notify_waiters();
                }
                Err(error) => {
                    tracing::error!(%error, run = run.id.as_str(), "cannot write the journal");
                    // The run is removed first, so that a caller that retries does not join the
                    // run.
                    if let Some(owner) = run.owner.upgrade() {
                        owner.forget(&run);
                    }
                    let reason = error.to_string();
                    run.fail_with(run.state(), Rejection::NotJournaled { reason });
                }
            }
        });
    }

    /// Waits until the start of the run is written, if there is a journal. Returns whether the run
    /// can start.
    pub(in crate::runs) async fn recorded(&self) -> bool {
        loop {
            let mut changed = pin!(self.recording.notified());
            changed.as_mut().enable();
            {
                let state = self.state();
                if state.is_recorded || state.end.is_some() {
                    return state.is_open();
                }
            }
            changed.await;
        }
    }

    /// Ends the run as cancelled, and waits until its end is written to the journal.
    pub(crate) async fn cancel_recorded(self: &Arc<Self>, reason: &'static str) {
        self.cancel(reason);
        self.end_recorded().await;
    }

    /// Waits until the run has ended and its end is written to the journal.
    pub(crate) async fn end_recorded(&self) {
        loop {
            let mut changed = pin!(self.recording.notified());
            changed.as_mut().enable();
            if self.state().end.is_some() {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn items_written(&self, record: Record, size: usize, written: io::Result<()>) {
        let mut state = self.state();
        state.unwritten -= size;
        match (record, written) {
            (Record::Items { count, bytes }, Ok(())) if state.end.is_none() => {
                self.append_to_log(&mut state, bytes, count);
                state.readers.wake();
                if std::mem::take(&mut state.waits_for_room) {
                    state.wake_producer();
                }
            }
            (_, written) => {
                self.total_size.fetch_sub(size, Ordering::Relaxed);
                if let Err(error) = written {
                    self.fail_unwritten(state, &error);
                }
            }
        }
    }

    /// Ends a run that cannot be written to the journal. A run never continues without its journal.
    pub(super) fn fail_unwritten(&self, state: MutexGuard<'_, RunState>, error: &io::Error) {
        if state.end.is_none() {
            tracing::error!(%error, run = self.id.as_str(), "cannot write the journal");
            let reason = error.to_string();
            self.fail_with(state, Rejection::JournalFailed { reason });
        }
    }

    fn fail_with(&self, mut state: MutexGuard<'_, RunState>, rejection: Rejection) {
        if let Some(ending) = state.ending.take() {
            let size = ending.answer.size();
            self.total_size.fetch_sub(size, Ordering::Relaxed);
        }
        let duration = self.started_at.elapsed().unwrap_or_default();
        let answer = Answer::Failed(rejection.into(), duration);
        self.total_size.fetch_add(answer.size(), Ordering::Relaxed);
        let end = RunOutcome {
            status: RunStatus::Error,
            answer,
            ended_at: SystemTime::now(),
        };
        self.finish(state, end);
    }
}
