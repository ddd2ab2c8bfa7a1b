//! Reads the items of an answer.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::response::Parts;
use http_body::Body as _;
use ppio_agent_protocol::{ChatEvent, sse};

use crate::exchange::body::Body;
use crate::exchange::failure::Failure;
use crate::exchange::json::line;
use crate::exchange::rejection::Rejection;
use crate::invocation::WrittenEvents;

/// How much of a frame is read in one batch, in bytes; the event that exceeds this size is the last
/// one of its batch. A protocol's events for a short item can be twenty times as long as the item,
/// and stay in memory until the caller reads them.
const BATCH: usize = 4 * 1024;

/// An item of the agent's answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Item<'a> {
    /// Text, as a JSON string with its quotes.
    Text(&'a str),
    /// A chat event.
    Event(ChatEvent),
    /// Any other value, as JSON in one line.
    Data(&'a str),
}

impl<'a> Item<'a> {
    /// Reads an item from a line that the runtime wrote.
    fn of_written(json: &'a str) -> Self {
        // The text of the most frequent event is copied as it is.
        let text = json.strip_prefix(r#" {"type":"text_delta","text":"#);
        match text.and_then(|text| text.strip_suffix('}')) {
            Some(text) => Self::Text(text),
            None => Self::of(json),
        }
    }

    /// Reads an item from JSON in one line; a leading space marks a chat event.
    fn of(json: &'a str) -> Self {
        if let Some(marked) = json.strip_prefix(' ')
            && let Ok(event) = serde_json::from_str(marked)
        {
            return Self::Event(event);
        }
        let json = json.trim_ascii();
        if json.starts_with('"') {
            Self::Text(json)
        } else {
            Self::Data(json)
        }
    }
}

/// Returns the text that a JSON string encodes.
pub(crate) fn text_of(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
}

/// The text of an answer for a protocol that supports only text: any other value is written as
/// JSON at the beginning of a line.
#[derive(Debug, Default)]
pub(crate) struct AnswerText {
    is_within_line: bool,
}

impl AnswerText {
    /// Returns the text that an item adds, as a JSON string; `None` for chat events that are not
    /// text.
    pub(crate) fn json_of<'a>(&mut self, item: &Item<'a>) -> Option<Cow<'a, str>> {
        let added = match *item {
            Item::Text(json) => Cow::Borrowed(json),
            Item::Event(ChatEvent::TextDelta { ref text }) => Cow::Owned(line(text)),
            Item::Event(_) => return None,
            Item::Data(json) => return Some(Cow::Owned(self.line_of(json))),
        };
        self.added(&added);
        Some(added)
    }

    /// Returns `text` as a JSON string, after a line break unless `text` already starts a line.
    pub(crate) fn line_of(&mut self, text: &str) -> String {
        let added = if self.is_within_line {
            line(&format!("\n{text}"))
        } else {
            line(text)
        };
        self.added(&added);
        added
    }

    fn added(&mut self, json: &str) {
        if json != "\"\"" {
            self.is_within_line = !json.ends_with("\\n\"");
        }
    }
}

/// An item of an answer, a keep-alive or a failure.
#[derive(Debug, PartialEq)]
pub(crate) enum NextItem<'a> {
    /// An item.
    Item(Item<'a>),
    /// The agent is still working.
    KeepAlive,
    /// The agent failed. Nothing follows.
    Failed(Failure),
}

/// The items of an answer, which is a stream of items or a single value.
pub(crate) struct Items {
    body: Body,
    kind: AnswerKind,
    /// The events of the last frame that have not been read yet.
    unread: Bytes,
    /// The beginning of an event or a value that is not complete yet.
    incomplete: BytesMut,
    ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnswerKind {
    Events,
    /// Events of a response that the agent built, with any data.
    OtherEvents,
    Json,
    /// A response of another type, which the agent built.
    Text,
}

impl Items {
    pub(crate) fn of(head: &Parts, body: Body) -> Self {
        let kind = match media_type(&head.headers) {
            sse::MEDIA_TYPE if head.extensions.get::<WrittenEvents>().is_some() => {
                AnswerKind::Events
            }
            sse::MEDIA_TYPE => AnswerKind::OtherEvents,
            "application/json" => AnswerKind::Json,
            _ => AnswerKind::Text,
        };
        Self {
            body,
            kind,
            unread: Bytes::new(),
            incomplete: BytesMut::new(),
            ended: false,
        }
    }

    /// Waits for more of the answer, and calls `each` with its items. Returns `None` at the end,
    /// after the failure if there was one.
    pub(crate) fn poll_parts(
        &mut self,
        cx: &mut Context<'_>,
        mut each: impl FnMut(NextItem<'_>),
    ) -> Poll<Option<()>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if !self.unread.is_empty() {
            let unread = std::mem::take(&mut self.unread);
            self.read_events(&unread, &mut each);
            return Poll::Ready(Some(()));
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            None => {
                self.end(&mut each);
                return Poll::Ready(Some(()));
            }
            Some(Err(error)) => {
                self.ended = true;
                each(NextItem::Failed(Failure::of(&error, "")));
                return Poll::Ready(Some(()));
            }
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        if !matches!(self.kind, AnswerKind::Events | AnswerKind::OtherEvents) {
            self.incomplete.extend_from_slice(&frame);
            return Poll::Ready(Some(()));
        }
        // The runtime's own frames contain whole events only.
        let data = if self.incomplete.is_empty() {
            frame
        } else {
            self.incomplete.extend_from_slice(&frame);
            self.incomplete.split().freeze()
        };
        self.read_events(&data, &mut each);
        Poll::Ready(Some(()))
    }

    /// Waits for the next batch of items, and calls `each` with them. Returns `None` at the end.
    pub(crate) async fn next(&mut self, each: impl FnMut(NextItem<'_>)) -> Option<()> {
        let mut each = each;
        std::future::poll_fn(|cx| self.poll_parts(cx, &mut each)).await
    }

    fn read_events(&mut self, data: &Bytes, each: &mut impl FnMut(NextItem<'_>)) {
        let mut rest = &data[..];
        while !rest.is_empty() && !self.ended {
            if data.len() - rest.len() >= BATCH {
                self.unread = data.slice_ref(rest);
                return;
            }
            let Some(end) = event_end(rest) else {
                self.incomplete.extend_from_slice(rest);
                return;
            };
            let (event, after) = rest.split_at(end);
            rest = after;
            self.read_event(event, each);
        }
    }

    fn read_event(&mut self, event: &[u8], each: &mut impl FnMut(NextItem<'_>)) {
        // The runtime writes an item in this form.
        if self.kind == AnswerKind::Events
            && let Some(line) = event.strip_prefix(b"data: ")
            && let Some(json) = line.strip_suffix(b"\n\n")
            && memchr::memchr(b'\n', json).is_none()
            && let Ok(json) = std::str::from_utf8(json)
        {
            return each(NextItem::Item(Item::of_written(json)));
        }
        let (mut name, mut data) = ("", None::<String>);
        let text = String::from_utf8_lossy(event);
        for line in text.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match (field, &mut data) {
                ("event", _) => name = if value == "error" { "error" } else { "" },
                ("data", Some(data)) => {
                    data.push('\n');
                    data.push_str(value);
                }
                ("data", none) => *none = Some(value.to_owned()),
                _ => {}
            }
        }
        match data {
            None => each(NextItem::KeepAlive),
            Some(data) if name == "error" && self.fails_with(&data, each) => {}
            Some(data) => own_value(data.as_bytes(), each),
        }
    }

    /// Reads the event of a failure; returns `false` if `data` is not a failure.
    fn fails_with(&mut self, data: &str, each: &mut impl FnMut(NextItem<'_>)) -> bool {
        let Ok(failure) = serde_json::from_str(data) else {
            return false;
        };
        self.ended = true;
        each(NextItem::Failed(failure));
        true
    }

    fn end(&mut self, each: &mut impl FnMut(NextItem<'_>)) {
        self.ended = true;
        let rest = self.incomplete.split();
        match self.kind {
            AnswerKind::Text if rest.is_empty() => {}
            // Further empty lines end no event.
            AnswerKind::Events | AnswerKind::OtherEvents
                if rest.iter().all(|byte| b"\r\n".contains(byte)) => {}
            // A stream that the agent built ended in the middle of an event.
            AnswerKind::Events | AnswerKind::OtherEvents => {
                let error = Rejection::ResponseCut.into();
                each(NextItem::Failed(Failure::of(&error, "")));
            }
            AnswerKind::Json => own_value(&rest, each),
            AnswerKind::Text => {
                let json = line(&String::from_utf8_lossy(&rest));
                each(NextItem::Item(Item::Text(&json)));
            }
        }
    }
}

/// Returns the media type of an answer, without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> &str {
    let content_type = headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next();
    media_type.unwrap_or_default().trim()
}

/// Calls `each` with a value that may have several lines or may not be JSON.
fn own_value(value: &[u8], each: &mut impl FnMut(NextItem<'_>)) {
    let text = String::from_utf8_lossy(value);
    if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err() {
        let json = line(&text);
        return each(NextItem::Item(Item::Text(&json)));
    }
    match sse::single_line(text.as_bytes()) {
        Some(line) => each(NextItem::Item(Item::of(&String::from_utf8_lossy(&line)))),
        None => each(NextItem::Item(Item::of(&text))),
    }
}

/// Returns the length of the first event of a stream, including the empty line that ends it.
fn event_end(stream: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let line = from + memchr::memchr(b'\n', &stream[from..])?;
        let next = line + 1;
        match stream.get(next..) {
            Some([b'\n', ..]) => return Some(next + 1),
            Some([b'\r', b'\n', ..]) => return Some(next + 2),
            _ => from = next,
        }
    }
}
