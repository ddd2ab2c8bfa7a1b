//! The body of an answer that is cut, or read slowly.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::DisturbedCall;

/// The number of parts of an answer that are read slowly.
const SLOW_PARTS: usize = 10;
/// The pause before each part that is read slowly.
const SLOW_PAUSE: Duration = Duration::from_millis(200);

/// A body that is disturbed while it is sent.
pub(super) struct DisturbedBody {
    body: Body,
    call: DisturbedCall,
    state: BodyState,
}

enum BodyState {
    /// The part with this number is cut in the middle; 1 is the next part.
    CutIn(usize),
    /// The last half part has to be sent before the end of the connection.
    Sending,
    Cut,
    /// The number of parts that are still read slowly, and the pause before the next one.
    Slow(usize, Pin<Box<Sleep>>),
    Undisturbed,
}

impl DisturbedBody {
    pub(super) fn cut(body: Body, part: usize, call: DisturbedCall) -> Body {
        let is_one_piece = body.size_hint().exact().is_some();
        let part = if is_one_piece { 1 } else { part };
        Self::wrap(body, call, BodyState::CutIn(part))
    }

    pub(super) fn slow(body: Body, call: DisturbedCall) -> Body {
        let pause = Box::pin(sleep(SLOW_PAUSE));
        Self::wrap(body, call, BodyState::Slow(SLOW_PARTS, pause))
    }

    fn wrap(body: Body, call: DisturbedCall, state: BodyState) -> Body {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Self { body, call, state })
    }

    /// Returns the first half of a part, which is the last data that is sent.
    fn cut_in_half(&mut self, mut data: Bytes) -> Frame<Bytes> {
        self.state = BodyState::Sending;
        // Disconnects the agent.
        self.body = Body::empty();
        self.call
            .report("drop", "dropped the caller in the middle of the answer");
        Frame::data(data.split_to(data.len() / 2))
    }
}

impl HttpBody for DisturbedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.state {
            BodyState::Sending => {
                // The half part is written meanwhile.
                self.state = BodyState::Cut;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            BodyState::Cut => {
                let error = io::Error::other("--chaos has cut the answer");
                return Poll::Ready(Some(Err(axum::Error::new(error))));
            }
            BodyState::Slow(_, pause) => ready!(pause.as_mut().poll(cx)),
            BodyState::CutIn(_) | BodyState::Undisturbed => {}
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            end => return Poll::Ready(end),
        };
        match &mut self.state {
            BodyState::CutIn(1) => match frame.into_data() {
                Ok(data) => return Poll::Ready(Some(Ok(self.cut_in_half(data)))),
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            },
            BodyState::CutIn(part) => *part -= 1,
            BodyState::Slow(left, pause) => {
                let is_first = *left == SLOW_PARTS;
                *left -= 1;
                if *left == 0 {
                    self.state = BodyState::Undisturbed;
                } else {
                    pause.set(sleep(SLOW_PAUSE));
                }
                if is_first {
                    let pause = SLOW_PAUSE.as_millis();
                    self.call.report(
                        "slow",
                        &format!("reads the answer slowly: its first {SLOW_PARTS} parts at {pause} ms each"),
                    );
                }
            }
            BodyState::Sending | BodyState::Cut | BodyState::Undisturbed => {}
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match self.state {
            BodyState::Sending | BodyState::Cut => false,
            _ => self.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.state {
            BodyState::Sending | BodyState::Cut => SizeHint::default(),
            _ => self.body.size_hint(),
        }
    }
}
