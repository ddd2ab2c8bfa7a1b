//! The value that a handler returned, written as JSON.

use serde::Serialize;

use super::agent_envelope::AgentEnvelope;
use super::error::Error;
use super::json::RESULT;
use super::rejection::Rejection;
use super::reply_serializer::{Recognized, ReplySerializer};
use super::requested_format::RequestedFormat;
use crate::telemetry::RequestTrace;

/// The initial capacity of a body, in bytes: enough for the envelope and a short value.
const INITIAL_CAPACITY: usize = 256;

/// A written value.
pub(crate) enum WrittenValue {
    /// The beginning of a success body; [`finish`](super::json::finish) completes it.
    Value(Vec<u8>),
    /// An `InvocationResponse`, which is the envelope and not a value in it.
    Envelope(Box<AgentEnvelope>),
}

impl WrittenValue {
    pub(crate) fn of<T: Serialize + ?Sized>(
        value: &T,
        format: RequestedFormat,
        trace: &RequestTrace,
    ) -> Result<Self, Error> {
        let mut body = Vec::with_capacity(INITIAL_CAPACITY);
        if format.has_envelope() {
            body.extend_from_slice(RESULT);
        }
        let start = body.len();
        let mut found = Recognized::Value;
        let mut json = serde_json::Serializer::new(&mut body);
        value
            .serialize(ReplySerializer::new(&mut json, &mut found))
            .map_err(|error| Rejection::NotSerializable(error.to_string()))?;
        let is_event = found == Recognized::ChatEvent;
        if trace.observes(is_event) {
            trace.item(&body[start..], is_event);
        }
        Ok(match found {
            Recognized::Envelope(fields) => {
                let result = body.split_off(start);
                Self::Envelope(Box::new(AgentEnvelope::new(result, fields)))
            }
            Recognized::ChatEvent if format.marks_chat_events() => {
                body.insert(start, b' ');
                Self::Value(body)
            }
            Recognized::Value | Recognized::Item | Recognized::ChatEvent => Self::Value(body),
        })
    }
}

/// Appends the JSON of an item of a stream. If `format` is that of a protocol, a chat event is
/// marked. Returns whether the item is a chat event.
pub(crate) fn write_item<T: Serialize + ?Sized>(
    item: &T,
    format: RequestedFormat,
    json: &mut Vec<u8>,
) -> serde_json::Result<bool> {
    let start = json.len();
    let marks = format.marks_chat_events();
    let mut found = if marks {
        Recognized::Value
    } else {
        Recognized::Item
    };
    let mut serializer = serde_json::Serializer::new(&mut *json);
    // One serializer for all formats: with two of them, the compiler does not inline the code of
    // each field.
    item.serialize(ReplySerializer::new(&mut serializer, &mut found))?;
    let is_chat_event = found == Recognized::ChatEvent;
    if is_chat_event && marks {
        json.insert(start, b' ');
    }
    Ok(is_chat_event)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::json::finish;
    use super::*;

    fn written<T: Serialize + ?Sized>(value: &T, format: RequestedFormat) -> Vec<u8> {
        match WrittenValue::of(value, format, &RequestTrace::default()).unwrap() {
            WrittenValue::Value(body) => body,
            WrittenValue::Envelope(_) => panic!("an envelope"),
        }
    }

    #[test]
    fn the_envelope_has_all_fields() {
        for format in [RequestedFormat::Unspecified, RequestedFormat::Envelope] {
            let body = written(&serde_json::json!({"a": 1}), format);
            let body = finish(body, format, Duration::from_micros(1_000_002), "r-1");
            assert_eq!(
                body,
                r#"{"result":{"a":1},"status":"success","duration":1.000002,"metadata":{"request_id":"r-1"},"error":null}"#
            );
        }
    }

    #[test]
    fn the_bare_format_is_the_value() {
        for format in [RequestedFormat::AgentCore, RequestedFormat::Value] {
            let body = finish(written("hi", format), format, Duration::ZERO, "r-1");
            assert_eq!(body, r#""hi""#);
        }
    }

    #[test]
    fn a_value_that_json_cannot_represent_is_an_error() {
        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
        let error =
            WrittenValue::of(&map, RequestedFormat::Unspecified, &RequestTrace::default()).err();
        assert_eq!(error.unwrap().error_type(), "SerializationError");
    }
}
