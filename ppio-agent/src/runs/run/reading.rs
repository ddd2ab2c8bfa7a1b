//! The methods of a run for its readers: they add and remove readers, and return data to them.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;

use super::super::answer::{Answer, RunOutcome};
use super::super::log::Cursor;
use super::Run;
use super::state::LoggedHead;
use crate::exchange::policies::OnDisconnect;
use crate::exchange::rejection::Rejection;

/// The answer of a run, or the beginning of an answer that is in the log.
pub(in crate::runs) enum AnswerHead {
    Logged(LoggedHead),
    Ended(Answer),
}

/// The format in which a reader reads a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runs) enum ReadFormat {
    Events,
    EventsWithIds,
    /// The bytes of a response that the handler returned.
    Response,
}

/// The result of one read.
pub(in crate::runs) enum Read {
    /// Whole items, or a chunk of a response.
    Data(Bytes),
    /// No more data follows.
    End(RunOutcome),
}

impl Run {
    /// Adds a reader that starts after an item; 0 is the start of the answer.
    /// [`leave`](Self::leave) removes the reader.
    pub(in crate::runs) fn attach(&self, after: u64) -> Result<(usize, Cursor), Rejection> {
        let mut state = self.state();
        let last = state.items();
        if after > last {
            return Err(Rejection::UnknownEventId { found: after, last });
        }
        let first = state.log.first();
        // A stream that has ended can still be read from the position after its last item, to get
        // its end.
        if after + 1 < first {
            return Err(Rejection::EventsGone { last: first - 1 });
        }
        state.unattended_since = None;
        state.left_early = state.left_early.saturating_sub(1);
        Ok((state.readers.add(after + 1), Cursor::after(after)))
    }

    /// Removes a reader. A run without readers is cancelled after its grace, if its policy is
    /// `cancel`.
    pub(in crate::runs) fn leave(self: &Arc<Self>, reader: usize) {
        let mut state = self.state();
        let has_end = state.readers.remove(reader);
        // A run with the policy `cancel` may be cancelled without readers, so its readers are not
        // expected to reconnect to read the end.
        if !has_end && state.on_disconnect == OnDisconnect::Continue {
            state.left_early += 1;
        }
        state.wake_producer();
        if !state.readers.is_empty() {
            return;
        }
        if state.end.is_some() {
            self.shorten_answer(&mut state);
        } else if state.is_open() && state.on_disconnect == OnDisconnect::Cancel {
            if state.grace.is_zero() {
                drop(state);
                self.cancel("its last reader disconnected");
            } else {
                state.unattended_since = Some(Instant::now());
            }
        }
    }

    /// Makes the run continue without readers.
    pub(in crate::runs) fn keep_running(&self) {
        let mut state = self.state();
        if state.is_open() && state.on_disconnect == OnDisconnect::Cancel {
            state.on_disconnect = OnDisconnect::Continue;
            state.unattended_since = None;
            // The run is counted under the lock, so that its end is counted afterwards.
            if let Some(owner) = self.owner.upgrade() {
                owner.count_continuing();
            }
        }
    }

    /// Waits until the answer begins.
    pub(in crate::runs) fn poll_answer(
        &self,
        reader: usize,
        cx: &mut Context<'_>,
    ) -> Poll<AnswerHead> {
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

    /// Waits for data that the reader has not read yet, or for the end.
    pub(in crate::runs) fn poll_read(
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
            // A response that the handler returned has no events.
            let is_response = matches!(state.head, Some(LoggedHead::Response(_)));
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
}
