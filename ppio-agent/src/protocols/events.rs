//! Writes the events of a protocol.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use ppio_agent_protocol::sse;
use serde::Serialize;

use super::items::{Item, Items, NextItem};
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::invocation::sse_body::HEARTBEAT;

/// Converts the items of an answer to the events of a protocol.
pub(crate) trait Translator: Send + 'static {
    /// Writes the events that precede the first item.
    fn begin(&mut self, _events: &mut EventWriter) {}

    /// Writes the events of an item.
    fn item(&mut self, item: Item<'_>, events: &mut EventWriter);

    /// Writes the end of the answer: a success, or a failure.
    fn end(&mut self, failure: Option<Failure>, events: &mut EventWriter);

    /// Whether the translator has already written the end, so that the answer is not read further.
    fn has_ended(&self) -> bool {
        false
    }
}

/// Writes an event stream.
#[derive(Debug, Default)]
pub(crate) struct EventWriter {
    buffer: BytesMut,
}

impl EventWriter {
    /// Writes an event whose data is JSON.
    pub(crate) fn json<T: Serialize + ?Sized>(&mut self, data: &T) {
        // Serialization cannot fail: the maps that protocols write have string keys.
        let _ = sse::write_json(&mut self.buffer, data);
    }

    /// Writes a named event whose data is the JSON that `parts` form together.
    pub(crate) fn named_parts(&mut self, name: &str, parts: &[&str]) {
        self.name(name);
        self.parts(parts);
    }

    fn name(&mut self, name: &str) {
        self.buffer.extend_from_slice(b"event: ");
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b"\n");
    }

    /// Writes an event whose data is the JSON that `parts` form together, without line breaks.
    pub(crate) fn parts(&mut self, parts: &[&str]) {
        self.buffer.extend_from_slice(b"data: ");
        for part in parts {
            self.buffer.extend_from_slice(part.as_bytes());
        }
        self.buffer.extend_from_slice(b"\n\n");
    }

    fn keep_alive(&mut self) {
        self.buffer.extend_from_slice(HEARTBEAT);
    }

    /// Takes the bytes that were written since the last call.
    pub(crate) fn take(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }
}

/// Takes the data of the next complete event, for a transport that has messages of its own. Each
/// event must have one line of data and no name. Returns `None` if `events` has no complete event
/// with data.
#[cfg(all(feature = "ag-ui", feature = "websocket"))]
pub(crate) fn take_message(events: &mut BytesMut) -> Option<BytesMut> {
    while let Some(end) = memchr::memmem::find(events, b"\n\n") {
        let mut event = events.split_to(end + 2);
        // Other events are comments that keep the connection open.
        if event.starts_with(b"data: ") {
            event.truncate(end);
            return Some(event.split_off(b"data: ".len()));
        }
    }
    None
}

/// The body of a response with the events of a protocol.
pub(super) struct TranslatedBody<T> {
    items: Items,
    translator: T,
    events: EventWriter,
    state: TranslationState,
}

#[derive(PartialEq, Eq)]
enum TranslationState {
    New,
    Running,
    Ended,
}

impl<T: Translator> TranslatedBody<T> {
    pub(super) fn new(items: Items, translator: T) -> Self {
        Self {
            items,
            translator,
            events: EventWriter::default(),
            state: TranslationState::New,
        }
    }
}

impl<T> Unpin for TranslatedBody<T> {}

impl<T: Translator> HttpBody for TranslatedBody<T> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Self {
            items,
            translator,
            events,
            state,
        } = &mut *self;
        if *state == TranslationState::New {
            *state = TranslationState::Running;
            translator.begin(events);
        }
        while *state == TranslationState::Running && events.buffer.is_empty() {
            let mut failed = false;
            let polled = items.poll_parts(cx, |part| match part {
                _ if translator.has_ended() => {}
                NextItem::Item(item) => translator.item(item, events),
                NextItem::KeepAlive => events.keep_alive(),
                NextItem::Failed(failure) => {
                    failed = true;
                    translator.end(Some(failure), events);
                }
            });
            match polled {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(_) if failed || translator.has_ended() => {
                    *state = TranslationState::Ended;
                }
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) => {
                    *state = TranslationState::Ended;
                    translator.end(None, events);
                }
            }
        }
        let data = events.take();
        Poll::Ready(if data.is_empty() {
            None
        } else {
            Some(Ok(Frame::data(data)))
        })
    }
}
