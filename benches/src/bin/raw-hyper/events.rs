//! The event stream, with one frame per item or frames of all items that are ready.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::{self, Fuse, Stream, StreamExt};
use http_body_util::{Either, StreamBody};
use hyper::body::{Body, Frame};
use ppio_benches::Token;

/// The size in bytes at which a frame of several items is sent.
const COALESCED_FRAME: usize = 32 * 1024;

/// How items become frames.
#[derive(Clone, Copy)]
pub(crate) enum Framing {
    /// One frame for each item, as the documentation of hyper shows streams.
    PerItem,
    /// One frame for the items that are ready together, up to the item that reaches
    /// [`COALESCED_FRAME`].
    Coalesced,
}

type Frames = stream::Iter<Box<dyn Iterator<Item = Result<Frame<Bytes>, Infallible>> + Send>>;
type Tokens = stream::Iter<Box<dyn Iterator<Item = Token> + Send>>;
pub(crate) type EventBody = Either<StreamBody<Frames>, CoalescingBody<Tokens>>;

/// Returns the body of a stream of `length` items.
pub(crate) fn event_body(framing: Framing, length: u64) -> EventBody {
    let tokens = ppio_benches::tokens(length);
    match framing {
        Framing::PerItem => {
            let frames: Box<dyn Iterator<Item = _> + Send> = Box::new(tokens.map(|token| {
                let mut event = Vec::with_capacity(64);
                write_event(&mut event, &token);
                Ok(Frame::data(Bytes::from(event)))
            }));
            Either::Left(StreamBody::new(stream::iter(frames)))
        }
        Framing::Coalesced => {
            let tokens: Box<dyn Iterator<Item = _> + Send> = Box::new(tokens);
            Either::Right(CoalescingBody::new(stream::iter(tokens)))
        }
    }
}

/// A body that sends the items that are ready together. A frame ends at [`COALESCED_FRAME`] bytes,
/// or when the next item is not ready.
pub(crate) struct CoalescingBody<S> {
    items: Fuse<S>,
    events: BytesMut,
}

impl<S: Stream<Item = Token>> CoalescingBody<S> {
    fn new(items: S) -> Self {
        Self {
            items: items.fuse(),
            events: BytesMut::new(),
        }
    }
}

impl<S: Stream<Item = Token> + Unpin> Body for CoalescingBody<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let body = &mut *self;
        // Reuses the buffer of the last frame if that frame has been written.
        body.events.reserve(COALESCED_FRAME + 64);
        let ended = loop {
            match body.items.poll_next_unpin(cx) {
                Poll::Ready(Some(token)) => write_event(&mut body.events, &token),
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
            if body.events.len() >= COALESCED_FRAME {
                break false;
            }
        };
        if !body.events.is_empty() {
            let frame = Frame::data(body.events.split().freeze());
            return Poll::Ready(Some(Ok(frame)));
        }
        if ended {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    }
}

fn write_event(buffer: &mut impl BufMut, token: &Token) {
    buffer.put_slice(b"data: ");
    serde_json::to_writer((&mut *buffer).writer(), token)
        .expect("a plain struct is serialized into memory");
    buffer.put_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future;
    use http_body_util::BodyExt;

    async fn frames(mut body: EventBody) -> Vec<Bytes> {
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.extend(frame.unwrap().into_data());
        }
        frames
    }

    #[tokio::test]
    async fn both_framings_send_the_same_bytes() {
        let per_item = frames(event_body(Framing::PerItem, 10_000)).await;
        let coalesced = frames(event_body(Framing::Coalesced, 10_000)).await;
        assert_eq!(per_item.len(), 10_000);
        assert_eq!(per_item.concat(), coalesced.concat());
        let longest = coalesced.iter().map(Bytes::len).max();
        assert!(coalesced.len() < 20, "{} frames", coalesced.len());
        assert!(longest < Some(COALESCED_FRAME + 64), "{longest:?} bytes");
    }

    #[tokio::test]
    async fn an_empty_stream_has_no_frame() {
        assert!(frames(event_body(Framing::Coalesced, 0)).await.is_empty());
    }

    #[tokio::test]
    async fn a_ready_item_does_not_wait_for_the_next_one() {
        let items = stream::iter(ppio_benches::tokens(1))
            .chain(stream::once(future::pending::<Token>()))
            .boxed();
        let mut body = CoalescingBody::new(items);
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, "data: {\"index\":0,\"text\":\"token\"}\n\n");
    }
}
