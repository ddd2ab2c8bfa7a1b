//! Writes and reads event streams (`text/event-stream`), as the [WHATWG HTML standard] defines
//! them.
//!
//! ```
//! use ppio_agent_protocol::sse;
//!
//! let mut wire = Vec::new();
//! sse::write_data(&mut wire, br#"{"token":"hello"}"#);
//! sse::write_comment(&mut wire, "keep-alive");
//! assert_eq!(wire, b"data: {\"token\":\"hello\"}\n\n: keep-alive\n\n");
//!
//! let mut decoder = sse::Decoder::new();
//! for chunk in wire.chunks(5) {
//!     decoder.push(chunk)?;
//! }
//! assert_eq!(decoder.next_event().unwrap().data, r#"{"token":"hello"}"#);
//! assert_eq!(decoder.next_event(), None);
//! assert!(!decoder.finish().is_truncated());
//! # Ok::<(), sse::EventTooLarge>(())
//! ```
//!
//! [WHATWG HTML standard]: https://html.spec.whatwg.org/multipage/server-sent-events.html

mod decoder;
mod encoder;
mod event;

#[cfg(test)]
mod round_trip;

pub use decoder::{Decoder, EventTooLarge, StreamEnd};
pub use encoder::{single_line, write_comment, write_data, write_json};
pub use event::{Event, InvalidEvent};

/// The `Content-Type` of an event stream, as a server sends it. The format is always UTF-8, but
/// some readers decode text without a charset as Latin-1.
pub const CONTENT_TYPE: &str = "text/event-stream; charset=utf-8";

/// The media type of an event stream, without parameters.
pub const MEDIA_TYPE: &str = "text/event-stream";
