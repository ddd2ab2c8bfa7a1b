//! One event of a stream.

use std::time::Duration;

use bytes::BufMut;

use super::encoder::{has_line_break, write_data_lines};

/// One event: what stood between two blank lines.
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
pub struct Event {
    /// The event's type; `None` stands for the standard's default, `message`.
    pub event: Option<String>,
    /// The payload; lines are separated by `\n`.
    pub data: String,
    /// The id this event sets; `None` if it sets none
    /// (the one in force is [`Decoder::last_event_id`](super::Decoder::last_event_id)).
    pub id: Option<String>,
    /// How long to wait before connecting again, if this event says so; milliseconds on the wire.
    pub retry: Option<Duration>,
}

/// An event that the format cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEvent {
    /// The type would break the line.
    #[error("an event's type cannot hold a line break, remove it or move it to the data")]
    LineBreakInType,
    /// The id would break the line, or readers would ignore it.
    #[error("an event's id cannot hold a line break or a NUL, remove it or encode it")]
    ForbiddenInId,
}

impl Event {
    /// An event with this payload and nothing else.
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

    /// Sets the time to wait before connecting again, to the millisecond.
    pub fn with_retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Appends the event to `buffer`.
    ///
    /// In the data `\r\n` and `\r` arrive as `\n`: the format has no way to tell them apart.
    ///
    /// # Errors
    /// A type or id that would change the meaning of the stream; `buffer` is then as it was.
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
    fn refuses_to_forge_a_stream() {
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
