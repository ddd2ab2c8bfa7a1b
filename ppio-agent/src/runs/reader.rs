//! The reader of a run: waits for its answer and streams its items to one caller.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use ppio_agent_protocol::{RunStatus, sse};
use serde::Serialize;
use tokio::time::{Instant, Sleep, sleep_until};

use super::answer::{Answer, RunOutcome};
use super::log::Cursor;
use super::run::Run;
use super::run::reading::{AnswerHead, Read, ReadFormat};
use crate::exchange::error::Error;
use crate::exchange::json;
use crate::exchange::rejection::Rejection;
use crate::exchange::requested_format::RequestedFormat;
use crate::invocation::sse_body::HEARTBEAT;

/// One caller's read position in a run. Dropping it removes the reader from the run.
pub(super) struct RunReader {
    run: Arc<Run>,
    number: usize,
    cursor: Cursor,
}

impl RunReader {
    /// Adds a reader that starts after the item with the id `after`; 0 is the start.
    ///
    /// # Errors
    /// If the run has no item with this id, or if the item after it is no longer kept.
    pub(super) fn attach(run: &Arc<Run>, after: u64) -> Result<Self, Rejection> {
        let (number, cursor) = run.attach(after)?;
        Ok(Self {
            run: Arc::clone(run),
            number,
            cursor,
        })
    }

    /// Waits until the answer begins.
    pub(super) async fn answer(&self) -> AnswerHead {
        poll_fn(|cx| self.run.poll_answer(self.number, cx)).await
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    /// Returns a body that sends the items.
    pub(super) fn into_body(
        self,
        format: ReadFormat,
        requested: RequestedFormat,
        heartbeat: Option<Duration>,
    ) -> ReaderBody {
        ReaderBody {
            reader: self,
            format,
            requested,
            heartbeat,
            last_byte: Instant::now(),
            timer: None,
            ended: false,
        }
    }
}

impl Drop for RunReader {
    fn drop(&mut self) {
        self.run.leave(self.number);
    }
}

/// A response body that reads a run as fast as the connection accepts data.
pub(super) struct ReaderBody {
    reader: RunReader,
    format: ReadFormat,
    requested: RequestedFormat,
    heartbeat: Option<Duration>,
    last_byte: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl ReaderBody {
    fn poll_heartbeat(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(interval) = self
            .heartbeat
            .filter(|_| self.format != ReadFormat::Response)
        else {
            return Poll::Pending;
        };
        loop {
            let due = self.last_byte + interval;
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            // The timer is reset only when it has elapsed, since a reset at every item costs more.
            if timer.is_elapsed() {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Returns the bytes to send after the last item: an `end` event, an error event, or nothing.
    /// Returns an error, which cuts the response, if a response that the handler returned has
    /// failed.
    fn end(&self, end: &RunOutcome) -> Result<Bytes, Error> {
        let run = &self.reader.run;
        match (self.format, &end.answer) {
            (ReadFormat::EventsWithIds, _) => Ok(end_event(run, end)),
            (ReadFormat::Events, Answer::Failed(error, _)) => {
                Ok(json::error_event(error, run.id.as_str(), self.requested))
            }
            (ReadFormat::Response, Answer::Failed(..)) => Err(Rejection::ResponseCut.into()),
            _ => Ok(Bytes::new()),
        }
    }
}

impl HttpBody for ReaderBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let reader = &mut this.reader;
        let read = reader
            .run
            .poll_read(reader.number, &mut reader.cursor, this.format, cx);
        let frame = match read {
            Poll::Ready(Read::Data(data)) => Ok(data),
            Poll::Ready(Read::End(end)) => {
                self.ended = true;
                self.end(&end)
            }
            Poll::Pending => match self.poll_heartbeat(cx) {
                Poll::Ready(()) => Ok(Bytes::from_static(HEARTBEAT)),
                Poll::Pending => return Poll::Pending,
            },
        };
        self.last_byte = Instant::now();
        Poll::Ready(match frame {
            Ok(data) if data.is_empty() => None,
            frame => Some(frame.map(Frame::data)),
        })
    }
}

/// Returns the event that follows the last item in a stream with ids.
fn end_event(run: &Run, end: &RunOutcome) -> Bytes {
    #[derive(Serialize)]
    struct Data<'a> {
        status: RunStatus,
        items: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        response_status: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<std::borrow::Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_type: Option<&'a str>,
    }
    let view = run.view();
    let failed = match &end.answer {
        Answer::Failed(error, _) => Some(error),
        _ => None,
    };
    let mut data = json::to_bytes(&Data {
        status: end.status,
        items: view.items,
        response_status: view.response_status.map(|status| status.as_u16()),
        error: failed.map(|error| error.response_text(run.id.as_str())),
        error_type: failed.map(Error::error_type),
    });
    if let Answer::Value(value) = &end.answer {
        data = json::with_member(&data, "result", &value.json);
    }
    let line = sse::single_line(&data);
    let mut event = BytesMut::from(&b"event: end\n"[..]);
    sse::write_data(&mut event, line.as_deref().unwrap_or(&data));
    event.freeze()
}
