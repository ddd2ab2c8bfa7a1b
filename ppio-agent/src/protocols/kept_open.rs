//! Keeps a connection open while a slow response is prepared: proxies close idle connections,
//! many of them after 60 s.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use ppio_agent_protocol::sse;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::items::media_type;
use crate::exchange::Exchange;
use crate::exchange::body::{Body, Response};
use crate::exchange::error::Error;
use crate::invocation::event_stream;
use crate::invocation::sse_body::HEARTBEAT;

type Answering = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;

/// Waits for a response. If it is not ready within `interval`, returns an event stream that sends a
/// comment per interval and then the response: its events, or its JSON as one event.
pub(crate) async fn answer(
    exchange: &Exchange,
    interval: Duration,
    answering: impl Future<Output = Result<Response, Error>> + Send + 'static,
) -> Result<Response, Error> {
    let mut answering: Answering = Box::pin(answering);
    if let Ok(answered) = timeout(interval, &mut answering).await {
        return answered;
    }
    let body = KeptOpenBody {
        exchange: exchange.clone(),
        interval,
        // The first comment is sent immediately.
        timer: Box::pin(sleep(Duration::ZERO)),
        state: KeptOpenState::Waiting(answering),
    };
    Ok(event_stream(exchange, Body::stream(body)))
}

struct KeptOpenBody {
    exchange: Exchange,
    interval: Duration,
    timer: Pin<Box<Sleep>>,
    state: KeptOpenState,
}

enum KeptOpenState {
    Waiting(Answering),
    /// The answer is an event stream.
    Events(Body),
    /// The answer is one JSON text.
    Json(Body, BytesMut),
    Ended,
}

impl KeptOpenBody {
    fn state_of(&self, answered: Result<Response, Error>) -> KeptOpenState {
        let response = answered.unwrap_or_else(|error| self.exchange.error_response(error));
        let is_stream = media_type(response.headers()) == sse::MEDIA_TYPE;
        let body = response.into_body();
        if is_stream {
            KeptOpenState::Events(body)
        } else {
            KeptOpenState::Json(body, BytesMut::new())
        }
    }
}

impl HttpBody for KeptOpenBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            match &mut self.state {
                KeptOpenState::Waiting(answering) => match answering.as_mut().poll(cx) {
                    Poll::Ready(answered) => self.state = self.state_of(answered),
                    Poll::Pending => {
                        if self.timer.as_mut().poll(cx).is_pending() {
                            return Poll::Pending;
                        }
                        let due = Instant::now() + self.interval;
                        self.timer.as_mut().reset(due);
                        let comment = Bytes::from_static(HEARTBEAT);
                        return Poll::Ready(Some(Ok(Frame::data(comment))));
                    }
                },
                KeptOpenState::Events(body) => return Pin::new(body).poll_frame(cx),
                KeptOpenState::Json(body, json) => match Pin::new(body).poll_frame(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Ok(frame))) => {
                        json.extend_from_slice(&frame.into_data().unwrap_or_default());
                    }
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                    Poll::Ready(None) => {
                        let json = std::mem::take(json);
                        self.state = KeptOpenState::Ended;
                        if json.is_empty() {
                            return Poll::Ready(None);
                        }
                        let mut event = BytesMut::new();
                        sse::write_data(&mut event, &json);
                        return Poll::Ready(Some(Ok(Frame::data(event.freeze()))));
                    }
                },
                KeptOpenState::Ended => return Poll::Ready(None),
            }
        }
    }
}
