//! Estimates how much memory an export takes when it is decoded.
//!
//! An empty message has two bytes in protobuf and hundreds in memory, so that a small body could
//! use up the memory of the machine.

use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// The estimate for a JSON object, in bytes. Most messages take at most that much memory.
const OBJECT_SIZE: usize = 128;
/// The estimate for any other JSON value, in bytes.
const VALUE_SIZE: usize = 64;

/// The messages of OTLP that contain messages or lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageKind {
    TracesRequest,
    LogsRequest,
    ResourceSpans,
    ResourceLogs,
    Resource,
    EntityRef,
    ScopeSpans,
    ScopeLogs,
    Scope,
    Span,
    Event,
    Link,
    LogRecord,
    KeyValue,
    AnyValue,
    ArrayValue,
    KeyValueList,
    /// An element of a list of texts.
    Text,
}

impl MessageKind {
    /// Returns the kind of the field with this number; `None` if the field needs no estimate.
    fn field(self, number: u32) -> Option<Self> {
        Some(match (self, number) {
            (Self::TracesRequest, 1) => Self::ResourceSpans,
            (Self::LogsRequest, 1) => Self::ResourceLogs,
            (Self::ResourceSpans | Self::ResourceLogs, 1) => Self::Resource,
            (Self::ResourceSpans, 2) => Self::ScopeSpans,
            (Self::ResourceLogs, 2) => Self::ScopeLogs,
            (Self::Resource, 3) => Self::EntityRef,
            (Self::EntityRef, 3 | 4) => Self::Text,
            (Self::ScopeSpans | Self::ScopeLogs, 1) => Self::Scope,
            (Self::ScopeSpans, 2) => Self::Span,
            (Self::ScopeLogs, 2) => Self::LogRecord,
            (Self::Span, 11) => Self::Event,
            (Self::Span, 13) => Self::Link,
            (Self::Resource | Self::KeyValueList, 1)
            | (Self::Scope | Self::Event, 3)
            | (Self::Link, 4)
            | (Self::LogRecord, 6)
            | (Self::Span, 9) => Self::KeyValue,
            (Self::LogRecord, 5) | (Self::KeyValue, 2) | (Self::ArrayValue, 1) => Self::AnyValue,
            (Self::AnyValue, 5) => Self::ArrayValue,
            (Self::AnyValue, 6) => Self::KeyValueList,
            _ => return None,
        })
    }

    /// Returns the size of the message without its texts and lists, in bytes; 0 if the message is
    /// a part of another one.
    fn size(self) -> usize {
        match self {
            Self::ResourceSpans => size_of::<ResourceSpans>(),
            Self::ResourceLogs => size_of::<ResourceLogs>(),
            Self::EntityRef => size_of::<EntityRef>(),
            Self::ScopeSpans => size_of::<ScopeSpans>(),
            Self::ScopeLogs => size_of::<ScopeLogs>(),
            Self::Span => size_of::<Span>(),
            Self::Event => size_of::<Event>(),
            Self::Link => size_of::<Link>(),
            Self::LogRecord => size_of::<LogRecord>(),
            Self::KeyValue => size_of::<KeyValue>(),
            Self::AnyValue => size_of::<AnyValue>(),
            Self::Text => size_of::<String>(),
            Self::TracesRequest
            | Self::LogsRequest
            | Self::Resource
            | Self::Scope
            | Self::ArrayValue
            | Self::KeyValueList => 0,
        }
    }
}

/// Whether a message in protobuf takes more than `limit` bytes when it is decoded.
pub(super) fn protobuf_exceeds(kind: MessageKind, body: &[u8], limit: usize) -> bool {
    let mut size = 0;
    // Not recursive: messages may be nested deeper than the decoder allows.
    let mut open = vec![(kind, body)];
    while let Some((kind, mut rest)) = open.pop() {
        // A malformed field ends the message, as it ends the decoder.
        while let Some((number, content)) = next_field(&mut rest) {
            let (Some(content), Some(kind)) = (content, kind.field(number)) else {
                continue;
            };
            size += kind.size();
            if size > limit {
                return true;
            }
            if !content.is_empty() && kind != MessageKind::Text {
                open.push((kind, content));
            }
        }
    }
    false
}

/// Returns the number of the next field, and the bytes of a field with a length; `None` at the end
/// or if the field is malformed.
fn next_field<'a>(rest: &mut &'a [u8]) -> Option<(u32, Option<&'a [u8]>)> {
    if rest.is_empty() {
        return None;
    }
    let (number, wire_type) = decode_key(rest).ok()?;
    if wire_type != WireType::LengthDelimited {
        skip_field(wire_type, number, rest, DecodeContext::default()).ok()?;
        return Some((number, None));
    }
    let length = usize::try_from(decode_varint(rest).ok()?).ok()?;
    let (content, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some((number, Some(content)))
}

/// Whether a message in JSON takes more than `limit` bytes when it is decoded.
pub(super) fn json_exceeds(body: &[u8], limit: usize) -> bool {
    let (mut size, mut in_text) = (0, false);
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => {
                bytes.next();
            }
            b'{' if !in_text => size += OBJECT_SIZE,
            b'[' | b',' if !in_text => size += VALUE_SIZE,
            _ => {}
        }
        if size > limit {
            return true;
        }
    }
    false
}
