//! Items of a stream, from server-sent events, from lines, or from one value.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use ppio_agent_protocol::sse;
use serde_json::Value;

use super::run_end::END_EVENT;
use crate::error::Error;
use crate::transport::{BodyLimit, Chunks};

const OPERATION: &str = "read stream";

#[derive(Debug)]
pub(super) struct StreamItem {
    pub(super) value: Value,
    pub(super) kind: ItemKind,
    /// The id of the event that contains the item.
    pub(super) id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemKind {
    Item,
    /// An event named `error`.
    Error,
    /// The end event of a stream with ids.
    End,
}

impl StreamItem {
    fn item(value: Value) -> Self {
        Self {
            value,
            kind: ItemKind::Item,
            id: None,
        }
    }

    fn of_event(event: sse::Event, has_ids: bool) -> Self {
        Self {
            kind: match event.event.as_deref() {
                Some("error") => ItemKind::Error,
                Some(END_EVENT) if has_ids => ItemKind::End,
                _ => ItemKind::Item,
            },
            value: parse(event.data),
            id: event.id,
        }
    }
}

/// Reads the items of a stream.
#[derive(Debug)]
pub(super) enum ItemReader {
    Events {
        chunks: Chunks,
        decoder: Box<sse::Decoder>,
        limit: BodyLimit,
        has_ids: bool,
    },
    Lines {
        chunks: Chunks,
        lines: LineSplitter,
    },
    Once(Option<Value>),
}

/// Splits bytes into lines.
#[derive(Debug)]
pub(super) struct LineSplitter {
    partial: Vec<u8>,
    whole: VecDeque<Vec<u8>>,
    limit: BodyLimit,
}

impl LineSplitter {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            self.extend(&rest[..end])?;
            self.whole.push_back(std::mem::take(&mut self.partial));
            rest = &rest[end + 1..];
        }
        self.extend(rest)
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() > self.limit.bytes().saturating_sub(self.partial.len()) {
            return Err(self.limit.exceeded(OPERATION, "an item of the stream"));
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }
}

impl ItemReader {
    pub(super) fn events(chunks: Chunks, limit: BodyLimit) -> Self {
        Self::Events {
            chunks,
            decoder: Box::new(sse::Decoder::with_limit(limit.bytes())),
            limit,
            has_ids: false,
        }
    }

    /// Returns a reader of a stream whose events have ids and that has an end event.
    pub(super) fn events_with_ids(chunks: Chunks, limit: BodyLimit) -> Self {
        Self::Events {
            chunks,
            decoder: Box::new(sse::Decoder::with_limit(limit.bytes())),
            limit,
            has_ids: true,
        }
    }

    pub(super) fn lines(chunks: Chunks, limit: BodyLimit) -> Self {
        Self::Lines {
            chunks,
            lines: LineSplitter {
                partial: Vec::new(),
                whole: VecDeque::new(),
                limit,
            },
        }
    }

    pub(super) fn once(value: Value) -> Self {
        Self::Once(Some(value))
    }

    /// Polls for the next item; `None` at the end of the stream.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<StreamItem>, Error>> {
        match self {
            Self::Once(value) => Poll::Ready(Ok(value.take().map(StreamItem::item))),
            Self::Events {
                chunks,
                decoder,
                limit,
                has_ids,
            } => loop {
                if let Some(event) = decoder.next_event() {
                    return Poll::Ready(Ok(Some(StreamItem::of_event(event, *has_ids))));
                }
                match ready!(chunks.poll_next(cx))? {
                    Some(bytes) => decoder
                        .push(&bytes)
                        .map_err(|_| limit.exceeded(OPERATION, "an item of the stream"))?,
                    None if decoder.finish().is_truncated() => {
                        return Poll::Ready(Err(
                            chunks.cut_error("the stream ended within an event")
                        ));
                    }
                    None if *has_ids => {
                        return Poll::Ready(Err(
                            chunks.cut_error("the stream ended without its end event")
                        ));
                    }
                    None => return Poll::Ready(Ok(None)),
                }
            },
            Self::Lines { chunks, lines } => loop {
                while let Some(line) = lines.whole.pop_front() {
                    let line = line.trim_ascii();
                    if !line.is_empty() {
                        let text = || String::from_utf8_lossy(line).into_owned();
                        let value = serde_json::from_slice(line);
                        let value = value.unwrap_or_else(|_| Value::String(text()));
                        return Poll::Ready(Ok(Some(StreamItem::item(value))));
                    }
                }
                match ready!(chunks.poll_next(cx))? {
                    Some(bytes) => lines.push(&bytes)?,
                    None if lines.partial.is_empty() => return Poll::Ready(Ok(None)),
                    None => {
                        // The last line may lack its line break, but its value must be complete.
                        let last = std::mem::take(&mut lines.partial);
                        let Ok(value) = serde_json::from_slice(&last) else {
                            return Poll::Ready(Err(
                                chunks.cut_error("the stream ended within a line")
                            ));
                        };
                        return Poll::Ready(Ok(Some(StreamItem::item(value))));
                    }
                }
            },
        }
    }
}

/// Parses an item as JSON; text that is not JSON becomes a string.
fn parse(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}
