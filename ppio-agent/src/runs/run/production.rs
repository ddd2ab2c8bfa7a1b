//! The methods of a run for its producer: whether the producer may continue, and what it appends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::time::Instant;

use super::super::answer::Answer;
use super::super::journal::log_limit;
use super::super::journal::record::{ITEMS_OVERHEAD, Record};
use super::Run;
use super::state::{LoggedHead, RunState};
use crate::exchange::error::Error;
use crate::invocation::event_buffer::HIGH_WATER;

/// The number of bytes that a run may hold even if other runs use all of the memory, so that it can
/// continue.
const MIN_ROOM: usize = 32 * 1024;

/// The number of bytes not yet written to the journal at which the producer waits.
const MAX_UNWRITTEN: usize = 2 * HIGH_WATER;

/// The permission of the producer to continue.
pub(in crate::runs) enum Permission {
    /// Produce. A run that waits for a reader is cancelled at this time, unless a reader attaches.
    Produce(Option<Instant>),
    /// Wait until the slowest reader has read more, or the journal has written more.
    Wait,
    /// Stop, since the run already has an end. Holds the error of the end, if the run failed.
    End(Option<Error>),
}

impl Run {
    /// Returns what the producer may do. If the producer has to wait, it is woken when it may
    /// continue.
    pub(in crate::runs) fn permission(&self, cx: &mut Context<'_>) -> Permission {
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

    /// Drops the oldest items that every reader has read, as far as necessary. Returns `false` if a
    /// reader has not read enough yet.
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
    pub(in crate::runs) fn begin(self: &Arc<Self>, head: LoggedHead) {
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

    /// Appends items of a stream, or a chunk of a response.
    pub(in crate::runs) fn append(self: &Arc<Self>, bytes: Vec<u8>, count: u64) {
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
        // The record is sent under the lock, so that the records are in the order of the items.
        journal.write(self.number, record, move |record, written| {
            run.items_written(record, size, written);
        });
    }

    /// Appends the bytes that are sent to readers to the log.
    pub(super) fn append_to_log(&self, state: &mut RunState, bytes: Vec<u8>, count: u64) {
        if let Some(inspection) = &mut state.inspection {
            let time = self.started_at.elapsed().unwrap_or_default().as_millis();
            let time = u64::try_from(time).unwrap_or(u64::MAX);
            inspection.add(state.log.first(), state.log.items(), &bytes, time);
        }
        state.log.append(bytes, count);
    }
}
