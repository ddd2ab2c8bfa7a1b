//! Reads an event stream in chunks.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use super::Event;

/// An incremental decoder of event streams.
///
/// [`push`](Self::push) takes the chunks of the stream, split at any byte;
/// [`next_event`](Self::next_event) returns the complete events. The rules are those of the WHATWG
/// standard: a line ends with CR, LF or CRLF; one byte order mark at the start is skipped; `data`
/// lines are joined with `\n`; comments and unknown fields are ignored; invalid UTF-8 becomes
/// U+FFFD; an event without data is not dispatched; an incomplete event at the end is discarded.
///
/// Time is linear in the bytes pushed, and an event cannot be larger than a limit
/// ([`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT), or that of [`with_limit`](Self::with_limit)), so that a
/// hostile server can exhaust neither time nor memory.
///
/// ```
/// use ppio_agent_protocol::sse::Decoder;
///
/// let mut decoder = Decoder::new();
/// decoder.push(b"data: 1\r")?;
/// decoder.push(b"\n\r\ndata: hal")?;
/// assert_eq!(decoder.next_event().unwrap().data, "1");
/// assert!(decoder.next_event().is_none());
/// assert!(decoder.finish().is_truncated());
/// # Ok::<(), ppio_agent_protocol::sse::EventTooLarge>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    /// The start of an incomplete line.
    line: Vec<u8>,
    /// The incomplete event; each `data` line of it ends with `\n`.
    pending: Event,
    ready: VecDeque<Event>,
    /// The id of blocks without data, which becomes the id of the next event.
    carried_id: Option<String>,
    last_event_id: String,
    reconnection_time: Option<Duration>,
    limit: usize,
    /// Whether the last byte was a CR; an LF after it belongs to the same line end.
    after_carriage_return: bool,
    /// Whether the first line is incomplete; it may start with a byte order mark.
    at_start: bool,
    failed: bool,
}

/// An error from an event that is larger than the decoder's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an event of the stream is larger than {limit} bytes, raise the limit if the sender is trusted"
)]
#[non_exhaustive]
pub struct EventTooLarge {
    /// The limit, in bytes.
    pub limit: usize,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a truncated stream is incomplete"]
pub enum StreamEnd {
    /// After a complete event, or before the first one.
    Complete,
    /// Inside an event, which was discarded.
    Truncated,
}

impl StreamEnd {
    /// Whether an event was discarded.
    pub fn is_truncated(self) -> bool {
        self == Self::Truncated
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// The default limit of an event, in bytes: 16 MiB.
    pub const DEFAULT_LIMIT: usize = 16 * 1024 * 1024;

    /// Creates a decoder with the default limit.
    pub fn new() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }

    /// Creates a decoder with a limit in bytes on the fields of an event and its incomplete line.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            pending: Event::default(),
            ready: VecDeque::new(),
            carried_id: None,
            last_event_id: String::new(),
            reconnection_time: None,
            limit,
            after_carriage_return: false,
            at_start: true,
            failed: false,
        }
    }

    /// Decodes the next chunk of the stream.
    ///
    /// # Errors
    ///
    /// If an event is larger than the limit. The events before it are still returned by
    /// [`next_event`](Self::next_event); every later push fails as well.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), EventTooLarge> {
        let mut rest = chunk;
        if self.failed {
            return Err(EventTooLarge { limit: self.limit });
        }
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_carriage_return) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', rest);
            let part = &rest[..end.unwrap_or(rest.len())];
            self.check_size(part.len())?;
            let Some(end) = end else {
                self.line.extend_from_slice(part);
                break;
            };
            self.after_carriage_return = rest[end] == b'\r';
            rest = &rest[end + 1..];
            if self.line.is_empty() {
                self.take_line(part);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(part);
                self.take_line(&line);
                // Reuse the buffer for the next line, unless a long line made it large.
                if line.capacity() <= 64 * 1024 {
                    line.clear();
                    self.line = line;
                }
            }
        }
        Ok(())
    }

    /// Removes and returns the oldest complete event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// Ends the stream, and returns whether its last event was incomplete. Complete events are
    /// still returned by [`next_event`](Self::next_event).
    pub fn finish(&mut self) -> StreamEnd {
        let line = std::mem::take(&mut self.line);
        let pending = std::mem::take(&mut self.pending);
        if self.without_byte_order_mark(&line).is_empty() && pending == Event::default() {
            StreamEnd::Complete
        } else {
            StreamEnd::Truncated
        }
    }

    /// Returns the last id of the stream, to be sent as `Last-Event-ID` when connecting again;
    /// empty if there is none.
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// Returns the time to wait before connecting again, if the stream set one.
    pub fn reconnection_time(&self) -> Option<Duration> {
        self.reconnection_time
    }

    fn check_size(&mut self, more: usize) -> Result<(), EventTooLarge> {
        let text = |field: &Option<String>| field.as_ref().map_or(0, String::len);
        let kept = self.pending.data.len() + text(&self.pending.event) + text(&self.pending.id);
        if kept + self.line.len() + more > self.limit {
            self.failed = true;
            self.line = Vec::new();
            self.pending = Event::default();
            return Err(EventTooLarge { limit: self.limit });
        }
        Ok(())
    }

    fn take_line(&mut self, line: &[u8]) {
        let line = self.without_byte_order_mark(line);
        self.at_start = false;
        if line.is_empty() {
            return self.dispatch();
        }
        let (name, value) = match memchr::memchr(b':', line) {
            Some(0) => return, // a comment
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                self.pending.data.push_str(&lossy(value));
                self.pending.data.push('\n');
            }
            b"event" => self.pending.event = Some(lossy(value).into_owned()),
            b"id" if !value.contains(&0) => self.pending.id = Some(lossy(value).into_owned()),
            b"retry" => {
                if let Some(retry) = milliseconds(value) {
                    self.pending.retry = Some(retry);
                    self.reconnection_time = Some(retry);
                }
            }
            _ => {}
        }
    }

    fn without_byte_order_mark<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let mark = "\u{feff}".as_bytes();
        let rest = line.strip_prefix(mark).filter(|_| self.at_start);
        rest.unwrap_or(line)
    }

    fn dispatch(&mut self) {
        let mut event = std::mem::take(&mut self.pending);
        if let Some(id) = &event.id {
            self.last_event_id.clone_from(id);
        }
        // Without a `data` line there is no event; an empty `data` line has added a `\n`.
        if event.data.pop().is_none() {
            self.carried_id = event.id.or(self.carried_id.take());
            return;
        }
        let carried_id = self.carried_id.take();
        event.id = event.id.or(carried_id);
        // An empty type is the default type.
        event.event = event.event.filter(|name| !name.is_empty());
        self.ready.push_back(event);
    }
}

/// Decodes one value. Separators are ASCII, so this equals decoding the whole stream.
fn lossy(value: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(value)
}

/// Parses ASCII digits without a sign or space. A number that is too large saturates.
fn milliseconds(value: &[u8]) -> Option<Duration> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = value.iter().map(|digit| u64::from(digit - b'0'));
    let milliseconds = digits.fold(0u64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(digit)
    });
    Some(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests;
