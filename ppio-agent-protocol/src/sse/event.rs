//! An event of a stream.

use std::time::Duration;

use bytes::BufMut;

use super::encoder::{has_line_break, write_data_lines};

/// An event of a stream.
///
/// ```
/// use ppio_agent_protocol::sse::Event;
///
/// let mut wire = Vec::new();
/// Event::new("two\nlines").with_event("note").with_id("7").write(&mut wire)?;
/// assert_eq!(wire, b"event: note\nid: 7\ndata: two\ndata: lines\n\n");
/// # Ok::<(), ppio_agent_protocol::sse::InvalidEvent>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Event {
    /// The type; `None` is the default type, `message`.
    pub event: Option<String>,
    /// The data, with `\n` between lines.
    pub data: String,
    /// The id that this event sets, or that a block without data before it set; empty to clear the
    /// id. [`Decoder::last_event_id`](super::Decoder::last_event_id) is the last id of the stream.
    pub id: Option<String>,
    /// The time to wait before connecting again, in milliseconds on the wire.
    pub retry: Option<Duration>,
}

/// An error from writing an [`Event`] that the format cannot represent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEvent {
    /// The type contains a line break.
    #[error("the type of an event cannot contain a line break, remove it or move it to the data")]
    LineBreakInType,
    /// The id contains a line break, or a NUL, which makes readers ignore the id.
    #[error("the id of an event cannot contain a line break or a NUL, remove or encode it")]
    ForbiddenInId,
}

impl Event {
    /// Creates an event that has only data.
    pub fn new(data: impl Into<String>) -> Self {
        Self {
            data: data.into(),
            ..Self::default()
        }
    }

    /// Sets the type.
    pub fn with_event(mut self, event: impl Into<String>) -> Self {
        self.event = Some(event.into());
        self
    }

    /// Sets the id.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the time to wait before connecting again, in whole milliseconds.
    pub fn with_retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Appends the event to `buffer`.
    ///
    /// Readers receive each `\r\n` and `\r` of the data as `\n`.
    ///
    /// # Errors
    ///
    /// If the type or the id cannot be represented; `buffer` is then unchanged.
    pub fn write(&self, buffer: &mut impl BufMut) -> Result<(), InvalidEvent> {
        if self
            .event
            .as_deref()
            .is_some_and(|event| has_line_break(event.as_bytes()))
        {
            return Err(InvalidEvent::LineBreakInType);
        }
        if self
            .id
            .as_deref()
            .is_some_and(|id| has_line_break(id.as_bytes()) || id.contains('\0'))
        {
            return Err(InvalidEvent::ForbiddenInId);
        }
        let mut field = |name: &str, value: &str| {
            buffer.put_slice(name.as_bytes());
            buffer.put_slice(b": ");
            buffer.put_slice(value.as_bytes());
            buffer.put_u8(b'\n');
        };
        if let Some(event) = &self.event {
            field("event", event);
        }
        if let Some(id) = &self.id {
            field("id", id);
        }
        if let Some(retry) = self.retry {
            field("retry", &retry.as_millis().to_string());
        }
        write_data_lines(buffer, self.data.as_bytes());
        buffer.put_u8(b'\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_every_field() {
        let mut wire = Vec::new();
        Event::new("x")
            .with_event("e")
            .with_id("")
            .with_retry(Duration::from_secs(2))
            .write(&mut wire)
            .unwrap();
        assert_eq!(wire, b"event: e\nid: \nretry: 2000\ndata: x\n\n");
    }

    #[test]
    fn rejects_fields_that_would_start_another_line() {
        for (event, error) in [
            (
                Event::new("x").with_event("a\ndata: y"),
                InvalidEvent::LineBreakInType,
            ),
            (
                Event::new("x").with_event("a\r"),
                InvalidEvent::LineBreakInType,
            ),
            (
                Event::new("x").with_id("1\n\n"),
                InvalidEvent::ForbiddenInId,
            ),
            (
                Event::new("x").with_id("1\u{0}2"),
                InvalidEvent::ForbiddenInId,
            ),
        ] {
            let mut wire = Vec::new();
            assert_eq!(event.write(&mut wire), Err(error));
            assert!(wire.is_empty());
        }
    }
}
