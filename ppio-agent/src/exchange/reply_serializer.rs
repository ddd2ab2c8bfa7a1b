//! Recognizes an envelope or a chat event among the values that a handler returns.

use std::fmt::Display;

use ppio_agent_protocol::{CHAT_EVENT_NAME, ENVELOPE_NAME};
use serde::Serialize;
use serde::ser::Serializer;
use serde_json::ser::{CompactFormatter, Compound};
use serde_json::{Map, Value};

use super::envelope_serializer::{EnvelopeSerializer, Json};

type JsonCompound<'a, 'b> = Compound<'a, &'b mut Vec<u8>, CompactFormatter>;

/// Writes a value as `serde_json` does. Of an
/// [`InvocationResponse`](ppio_agent_protocol::InvocationResponse) (by itself, in an `Option` or in
/// a type that serializes as its content) it writes only the result, and keeps the other fields.
///
/// A generic function cannot determine the type of a value, and a trait cannot have one
/// implementation for `InvocationResponse` and another for every other type. But a derived
/// implementation of `Serialize` passes the name of the type to the serializer. The contents of a
/// list or an object are written by `serde_json` itself, so that only the outermost value is
/// written by this type.
pub(super) struct ReplySerializer<'a, 'b> {
    json: &'a mut Json<'b>,
    found: &'a mut Recognized,
}

/// The kind of a value.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Recognized {
    #[default]
    Value,
    /// An item of a stream without a protocol. An `InvocationResponse` among such items is written
    /// like any other value.
    Item,
    /// An `InvocationResponse`, with its fields other than the result.
    Envelope(Map<String, Value>),
    /// A [`ChatEvent`](ppio_agent_protocol::ChatEvent).
    ChatEvent,
}

impl<'a, 'b> ReplySerializer<'a, 'b> {
    /// Returns a serializer that sets `found` to the kind of the value that it writes.
    pub(super) fn new(json: &'a mut Json<'b>, found: &'a mut Recognized) -> Self {
        Self { json, found }
    }
}

macro_rules! forward {
    ($($method:ident($($name:ident: $type:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $($name: $type),*) -> Result<$ok, serde_json::Error> {
            self.json.$method($($name),*)
        }
    )*};
}

impl<'a, 'b> Serializer for ReplySerializer<'a, 'b> {
    type Ok = ();
    type Error = serde_json::Error;
    type SerializeSeq = JsonCompound<'a, 'b>;
    type SerializeTuple = JsonCompound<'a, 'b>;
    type SerializeTupleStruct = JsonCompound<'a, 'b>;
    type SerializeTupleVariant = JsonCompound<'a, 'b>;
    type SerializeMap = JsonCompound<'a, 'b>;
    type SerializeStruct = JsonCompound<'a, 'b>;
    type SerializeStructVariant = JsonCompound<'a, 'b>;

    forward! {
        serialize_bool(value: bool) -> ();
        serialize_i8(value: i8) -> ();
        serialize_i16(value: i16) -> ();
        serialize_i32(value: i32) -> ();
        serialize_i64(value: i64) -> ();
        serialize_i128(value: i128) -> ();
        serialize_u8(value: u8) -> ();
        serialize_u16(value: u16) -> ();
        serialize_u32(value: u32) -> ();
        serialize_u64(value: u64) -> ();
        serialize_u128(value: u128) -> ();
        serialize_f32(value: f32) -> ();
        serialize_f64(value: f64) -> ();
        serialize_char(value: char) -> ();
        serialize_str(value: &str) -> ();
        serialize_bytes(value: &[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> ();
        serialize_seq(length: Option<usize>) -> JsonCompound<'a, 'b>;
        serialize_tuple(length: usize) -> JsonCompound<'a, 'b>;
        serialize_tuple_struct(name: &'static str, length: usize) -> JsonCompound<'a, 'b>;
        serialize_tuple_variant(
            name: &'static str, index: u32, variant: &'static str, length: usize
        ) -> JsonCompound<'a, 'b>;
        serialize_map(length: Option<usize>) -> JsonCompound<'a, 'b>;
        serialize_struct_variant(
            name: &'static str, index: u32, variant: &'static str, length: usize
        ) -> JsonCompound<'a, 'b>;
    }

    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<JsonCompound<'a, 'b>, Self::Error> {
        if name == CHAT_EVENT_NAME {
            *self.found = Recognized::ChatEvent;
        }
        self.json.serialize_struct(name, length)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Self::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Self::Error> {
        if name == ENVELOPE_NAME && *self.found != Recognized::Item {
            let fields = value.serialize(EnvelopeSerializer::new(self.json))?;
            *self.found = Recognized::Envelope(fields);
            return Ok(());
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Self::Error> {
        self.json
            .serialize_newtype_variant(name, index, variant, value)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Self::Error> {
        self.json.collect_str(value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ppio_agent_protocol::{ChatEvent, InvocationResponse};
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;

    fn write(value: &impl Serialize) -> (String, Recognized) {
        let (mut body, mut found) = (Vec::new(), Recognized::Value);
        let mut json = serde_json::Serializer::new(&mut body);
        value
            .serialize(ReplySerializer::new(&mut json, &mut found))
            .unwrap();
        (String::from_utf8(body).unwrap(), found)
    }

    #[derive(Serialize)]
    struct Newtype<T>(T);
    #[derive(Serialize)]
    struct Pair(u8, u8);
    #[derive(Serialize)]
    struct Unit;
    #[derive(Serialize)]
    #[serde(transparent)]
    struct Transparent<T> {
        inner: T,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Either<T> {
        Own(T),
    }
    #[derive(Serialize)]
    enum Tagged<T> {
        Unit,
        Newtype(T),
        Tuple(u8, T),
        Struct { inner: T },
    }

    #[test]
    fn values_are_written_as_serde_json_does() {
        macro_rules! check {
            ($($value:expr),* $(,)?) => {$({
                let expected = serde_json::to_string(&$value).unwrap();
                assert_eq!(write(&$value), (expected, Recognized::Value));
            })*};
        }
        let response = InvocationResponse::success(1);
        check!(
            true,
            1_i8,
            1_i16,
            1_i32,
            1_i64,
            i128::MIN,
            1_u8,
            1_u16,
            1_u32,
            1_u64,
            u128::MAX,
            0.1_f32,
            0.1_f64,
            f64::NAN,
            'é',
            "a\n\"",
            (),
            None::<u8>,
            Some(1),
            [1, 2],
            (1, "a"),
            vec![json!({"a": [null]})],
            BTreeMap::from([(1, 2)]),
            Newtype(1),
            Pair(1, 2),
            Unit,
            Transparent { inner: 1 },
            Either::Own("x"),
            Tagged::<u8>::Unit,
            Tagged::Newtype(1),
            Tagged::Tuple(1, 2),
            Tagged::Struct { inner: 1 },
            serde_bytes(b"ab"),
            format_args!("{}", 1),
            RawValue::from_string("{ }".into()).unwrap(),
            json!({"status": "success", "result": 1}),
            [&response],
            json!({"inner": response}),
            Tagged::Newtype(&response),
            (1, &response),
        );
    }

    /// Returns a value that serializes as bytes.
    fn serde_bytes(bytes: &'static [u8]) -> impl Serialize {
        struct AsBytes(&'static [u8]);
        impl Serialize for AsBytes {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(self.0)
            }
        }
        AsBytes(bytes)
    }

    #[test]
    fn an_envelope_is_recognized_in_transparent_types() {
        let response = InvocationResponse::success([1]);
        let fields = json!({"status": "success", "duration": 0.0, "metadata": null, "error": null});
        for written in [
            write(&response),
            write(&&response),
            write(&Box::new(response.clone())),
            write(&Some(&response)),
            write(&Newtype(&response)),
            write(&Transparent { inner: &response }),
            write(&Either::Own(&response)),
        ] {
            let fields = Recognized::Envelope(fields.as_object().unwrap().clone());
            assert_eq!(written, ("[1]".to_owned(), fields));
        }
    }

    #[test]
    fn a_chat_event_is_recognized_in_transparent_types() {
        let event = ChatEvent::text("a");
        let json = serde_json::to_string(&event).unwrap();
        for written in [
            write(&event),
            write(&Box::new(Some(&event))),
            write(&Newtype(&event)),
            write(&Either::Own(&event)),
        ] {
            assert_eq!(written, (json.clone(), Recognized::ChatEvent));
        }
        assert_eq!(
            write(&json!({"type": "text_delta", "text": "a"})).1,
            Recognized::Value
        );
        assert_eq!(write(&[event]).1, Recognized::Value);
    }
}
