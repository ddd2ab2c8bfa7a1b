//! Separates the result of an envelope from the other fields while the envelope is serialized.

use serde::ser::{Error as _, Impossible, Serialize, SerializeMap, Serializer};
use serde_json::{Error, Map, Value};

/// The serializer that writes JSON into a buffer.
pub(super) type Json<'a> = serde_json::Serializer<&'a mut Vec<u8>>;

/// Writes the result of an envelope as JSON, and returns its other fields.
pub(super) struct EnvelopeSerializer<'a, 'b> {
    json: &'a mut Json<'b>,
}

impl<'a, 'b> EnvelopeSerializer<'a, 'b> {
    pub(super) fn new(json: &'a mut Json<'b>) -> Self {
        Self { json }
    }
}

/// The fields other than the result that were serialized so far, and the name of the next field.
pub(super) struct EnvelopeFields<'a, 'b> {
    json: &'a mut Json<'b>,
    fields: Map<String, Value>,
    name: String,
}

impl SerializeMap for EnvelopeFields<'_, '_> {
    type Ok = Map<String, Value>;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.name = serde_json::from_value(serde_json::to_value(key)?)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let name = std::mem::take(&mut self.name);
        if name == "result" {
            return value.serialize(&mut *self.json);
        }
        self.fields.insert(name, serde_json::to_value(value)?);
        Ok(())
    }

    fn end(self) -> Result<Self::Ok, Error> {
        Ok(self.fields)
    }
}

type Never = Impossible<Map<String, Value>, Error>;

/// Defines the methods for values other than maps, which fail: an envelope is serialized as a map.
macro_rules! refuse {
    ($($method:ident($($type:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $(_: $type),*) -> Result<$ok, Error> {
            Err(Error::custom("an `InvocationResponse` must serialize as an object"))
        }
    )*};
}

impl<'a, 'b> Serializer for EnvelopeSerializer<'a, 'b> {
    type Ok = Map<String, Value>;
    type Error = Error;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = EnvelopeFields<'a, 'b>;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    fn serialize_map(self, _: Option<usize>) -> Result<EnvelopeFields<'a, 'b>, Error> {
        Ok(EnvelopeFields {
            json: self.json,
            fields: Map::new(),
            name: String::new(),
        })
    }

    refuse! {
        serialize_bool(bool) -> Self::Ok;
        serialize_i8(i8) -> Self::Ok;
        serialize_i16(i16) -> Self::Ok;
        serialize_i32(i32) -> Self::Ok;
        serialize_i64(i64) -> Self::Ok;
        serialize_u8(u8) -> Self::Ok;
        serialize_u16(u16) -> Self::Ok;
        serialize_u32(u32) -> Self::Ok;
        serialize_u64(u64) -> Self::Ok;
        serialize_f32(f32) -> Self::Ok;
        serialize_f64(f64) -> Self::Ok;
        serialize_char(char) -> Self::Ok;
        serialize_str(&str) -> Self::Ok;
        serialize_bytes(&[u8]) -> Self::Ok;
        serialize_none() -> Self::Ok;
        serialize_unit() -> Self::Ok;
        serialize_unit_struct(&'static str) -> Self::Ok;
        serialize_unit_variant(&'static str, u32, &'static str) -> Self::Ok;
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Self::Ok, Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Self::Ok, Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Self::Ok, Error> {
        self.serialize_unit()
    }
}
