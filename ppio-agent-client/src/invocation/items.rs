//! Where a stream's items come from: events, lines, or one value.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use ppio_agent_protocol::sse;
use serde_json::Value;

use crate::error::Error;
use crate::transport::{BodyLimit, Chunks};

/// What is being done while the items are read.
const OPERATION: &str = "read stream";

/// One item as it came.
pub(super) struct Item {
    pub(super) value: Value,
    /// Marked as an error by the name of its event.
    pub(super) is_error: bool,
}

/// The items of a stream, one after the other.
#[derive(Debug)]
pub(super) enum Source {
    Events {
        chunks: Chunks,
        decoder: Box<sse::Decoder>,
        limit: BodyLimit,
    },
    Lines {
        chunks: Chunks,
        lines: Lines,
    },
    Once(Option<Value>),
}

/// Cuts bytes into lines.
#[derive(Debug)]
pub(super) struct Lines {
    partial: Vec<u8>,
    whole: VecDeque<Vec<u8>>,
    limit: BodyLimit,
}

impl Lines {
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

impl Source {
    pub(super) fn events(chunks: Chunks, limit: BodyLimit) -> Self {
        Self::Events {
            chunks,
            decoder: Box::new(sse::Decoder::with_limit(limit.bytes())),
            limit,
        }
    }

    pub(super) fn lines(chunks: Chunks, limit: BodyLimit) -> Self {
        Self::Lines {
            chunks,
            lines: Lines {
                partial: Vec::new(),
                whole: VecDeque::new(),
                limit,
            },
        }
    }

    pub(super) fn once(value: Value) -> Self {
        Self::Once(Some(value))
    }

    /// The next item; `None` if the stream came to a clean end.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Item>, Error>> {
        match self {
            Self::Once(value) => Poll::Ready(Ok(value.take().map(|value| Item {
                value,
                is_error: false,
            }))),
            Self::Events {
                chunks,
                decoder,
                limit,
            } => loop {
                if let Some(event) = decoder.next_event() {
                    return Poll::Ready(Ok(Some(Item {
                        value: parse(event.data),
                        is_error: event.event.as_deref() == Some("error"),
                    })));
                }
                match ready!(chunks.poll_next(cx))? {
                    Some(bytes) => decoder
                        .push(&bytes)
                        .map_err(|_| limit.exceeded(OPERATION, "an item of the stream"))?,
                    None if decoder.finish().is_truncated() => {
                        return Poll::Ready(Err(chunks.cut("it ended in the middle of an event")));
                    }
                    None => return Poll::Ready(Ok(None)),
                }
            },
            Self::Lines { chunks, lines } => loop {
                while let Some(line) = lines.whole.pop_front() {
                    let line = line.trim_ascii();
                    if !line.is_empty() {
                        let text = || String::from_utf8_lossy(line).into_owned();
                        return Poll::Ready(Ok(Some(Item {
                            value: serde_json::from_slice(line)
                                .unwrap_or_else(|_| Value::String(text())),
                            is_error: false,
                        })));
                    }
                }
                match ready!(chunks.poll_next(cx))? {
                    Some(bytes) => lines.push(&bytes)?,
                    None if lines.partial.is_empty() => return Poll::Ready(Ok(None)),
                    None => {
                        // The last line may lack its end, but not a part of its value.
                        let last = std::mem::take(&mut lines.partial);
                        let Ok(value) = serde_json::from_slice(&last) else {
                            return Poll::Ready(
                                Err(chunks.cut("it ended in the middle of a line")),
                            );
                        };
                        return Poll::Ready(Ok(Some(Item {
                            value,
                            is_error: false,
                        })));
                    }
                }
            },
        }
    }
}

/// Items are JSON; an agent that sends plain text means the text.
fn parse(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}
