//! The body of a streamed answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::Frame;
use tokio::time::{Instant, Sleep};

use crate::exchange::error::Error;
use crate::exchange::json;
use crate::exchange::rejection::Failure;
use crate::invocation::executor::Drive;
use crate::invocation::guard::Record;
use crate::invocation::reply::Outcome;

/// A comment line: it keeps proxies from closing an idle stream and every client ignores it.
const HEARTBEAT: &[u8] = b": keep-alive\n\n";

/// Polls the handler when the connection wants more, and sends what it wrote.
pub(crate) struct EventStreamBody {
    drive: Drive,
    /// What is said of this invocation at its end.
    record: Record,
    heartbeat: Option<Duration>,
    /// The longest silence of the handler.
    patience: Duration,
    last_item: Instant,
    last_byte: Instant,
    /// The connection was given a frame and has not asked for another one yet.
    writing: bool,
    /// One timer for both limits. It is not reset at every item: when it fires, the clocks above
    /// say whether there is something to do.
    timer: Option<Pin<Box<Sleep>>>,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Running,
    /// The handler is done; this goes out before the end.
    Last(Bytes),
    Ended,
}

impl EventStreamBody {
    pub(crate) fn new(
        drive: Drive,
        record: Record,
        heartbeat: Option<Duration>,
        patience: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            drive,
            record,
            heartbeat,
            patience,
            last_item: now,
            last_byte: now,
            writing: false,
            timer: None,
            state: State::Running,
        }
    }

    pub(crate) fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            if self.state == State::Running
                && let Poll::Ready(outcome) = Pin::new(&mut self.drive).poll(cx)
            {
                self.end(outcome);
            }
            // What was written before the end goes out before the end.
            let events = self.drive.outlet().take();
            if !events.is_empty() {
                self.last_item = Instant::now();
                self.last_byte = self.last_item;
                self.writing = true;
                return Poll::Ready(Some(Ok(Frame::data(events))));
            }
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Running => self.state = State::Running,
                State::Last(event) if !event.is_empty() => {
                    return Poll::Ready(Some(Ok(Frame::data(event))));
                }
                State::Last(_) | State::Ended => return Poll::Ready(None),
            }
            match self.poll_clock(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Alarm::Heartbeat) => {
                    self.last_byte = Instant::now();
                    return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(HEARTBEAT)))));
                }
                Poll::Ready(Alarm::Stalled) => {
                    let stalled = Failure::StreamStalled(self.patience);
                    self.end(Outcome::Failed(stalled.into()));
                }
            }
        }
    }

    /// Takes the handler's end. What it wrote before goes out first.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        let items = self.drive.outlet().items();
        self.state = State::Last(match outcome {
            Outcome::Failed(error) => {
                self.record.stream_failed(&error, items);
                json::error_event(&error)
            }
            // A stream cannot turn into a value or a response.
            Outcome::StreamEnded | Outcome::Value(_) | Outcome::Response(_) => {
                self.record.succeeded(StatusCode::OK, items);
                Bytes::new()
            }
        });
    }

    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<Alarm> {
        loop {
            let now = Instant::now();
            if std::mem::take(&mut self.writing) {
                // While the client did not take the last frame the handler was not polled, so that
                // time is not its silence.
                self.last_item += now - self.last_byte;
                self.last_byte = now;
            }
            let stalls = self.last_item + self.patience;
            let beats = self.heartbeat.map(|interval| self.last_byte + interval);
            if now >= stalls {
                return Poll::Ready(Alarm::Stalled);
            }
            if beats.is_some_and(|beats| now >= beats) {
                return Poll::Ready(Alarm::Heartbeat);
            }
            let next = beats.map_or(stalls, |beats| beats.min(stalls));
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next)));
            // An early alarm finds nothing to do and sets the next one.
            if timer.is_elapsed() || timer.deadline() > next {
                timer.as_mut().reset(next);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

enum Alarm {
    Heartbeat,
    Stalled,
}

impl Drop for EventStreamBody {
    fn drop(&mut self) {
        if self.state == State::Running {
            self.record.cancelled(self.drive.outlet().items());
        }
    }
}
