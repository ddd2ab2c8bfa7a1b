//! A deserializer that takes notes.
//!
//! A type's `Deserialize` says what it expects (`deserialize_struct` with the names of the fields,
//! `deserialize_str`, …) and gets a value made up for it. What it refuses is remembered, and the next
//! run offers something else or nothing, until a run teaches nothing new. Then every field is left out
//! once: one that is missed is a required one.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer as _,
    MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Field, Kind, Object, Schema, Variant};

/// The most runs over one type. Each teaches one thing, so only enormous types need as many.
const RUNS: usize = 1000;
/// How deep a request is looked into.
const DEPTH: usize = 24;

/// Texts for types that do not take every text, each with the JSON Schema format it stands for.
const TEXTS: [(&str, Option<&str>); TEXT_COUNT as usize] = [
    ("", None),
    ("a", None),
    ("00000000-0000-0000-0000-000000000000", Some("uuid")),
    ("1970-01-01T00:00:00Z", Some("date-time")),
    ("1970-01-01", Some("date")),
    ("http://localhost/", Some("uri")),
    ("127.0.0.1", Some("ipv4")),
    ("a@example.com", Some("email")),
    ("0", None),
];
const TEXT_COUNT: u8 = 9;
/// Numbers: some types refuse zero.
const NUMBERS: u8 = 2;

/// The format of the text that was accepted at an attempt.
pub(super) fn format(attempt: u8) -> Option<&'static str> {
    TEXTS
        .get(usize::from(attempt))
        .and_then(|&(_, format)| format)
}

/// Runs a type's `Deserialize` until it has nothing more to tell.
pub(super) fn run<T: DeserializeOwned>() -> Schema {
    let mut schema = Schema::default();
    for probing in [false, true] {
        for _ in 0..RUNS {
            let run = Run {
                probing,
                learned: Cell::new(false),
                names: RefCell::default(),
            };
            // An error is what is learned from, where it happens.
            let _ = T::deserialize(Tracer {
                schema: &mut schema,
                run: &run,
            });
            if !run.learned.get() {
                break;
            }
        }
    }
    schema
}

/// One run over the type.
struct Run {
    /// Whether fields are left out to see which are required.
    probing: bool,
    /// Whether there is reason for another run.
    learned: Cell<bool>,
    /// The types that are being deserialized, outermost first.
    names: RefCell<Vec<&'static str>>,
}

impl Run {
    /// Deserializes within the type `name`; a type within itself goes no further.
    fn within<R>(
        &self,
        name: &'static str,
        inner: impl FnOnce() -> Result<R, Misfit>,
    ) -> Result<R, Misfit> {
        {
            let mut names = self.names.borrow_mut();
            if names.len() == DEPTH || !name.is_empty() && names.contains(&name) {
                return Err(Misfit::Other);
            }
            names.push(name);
        }
        let result = inner();
        self.names.borrow_mut().pop();
        result
    }
}

/// Why a made-up value was refused.
#[derive(Debug, PartialEq)]
enum Misfit {
    Missing(&'static str),
    Duplicate(&'static str),
    Other,
    /// Somebody has learned from it already.
    Settled,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a made-up value does not fit")
    }
}

impl std::error::Error for Misfit {}

impl Error for Misfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Other
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Duplicate(field)
    }
}

impl Schema {
    /// Learns that the value made up for this was refused.
    fn refuse(&mut self, run: &Run, misfit: Misfit) -> Misfit {
        if run.probing || misfit == Misfit::Settled || self.refused {
            return misfit;
        }
        let attempts = match self.kind {
            Kind::Text => TEXT_COUNT,
            Kind::Integer(_) | Kind::Number => NUMBERS,
            _ => 1,
        };
        self.attempt += 1;
        if self.attempt == attempts {
            self.attempt = 0;
            self.refused = true;
        }
        run.learned.set(true);
        Misfit::Settled
    }

    /// Deserializes a part of the request.
    fn offer<'de, S: DeserializeSeed<'de>>(
        &mut self,
        run: &Run,
        seed: S,
    ) -> Result<S::Value, Misfit> {
        let result = seed.deserialize(Tracer { schema: self, run });
        result.map_err(|misfit| self.refuse(run, misfit))
    }
}

struct Tracer<'a> {
    schema: &'a mut Schema,
    run: &'a Run,
}

impl<'a> Tracer<'a> {
    /// Notes what the type expects, unless that is known.
    fn is(self, kind: Kind) -> &'a mut Schema {
        let is_known = std::mem::discriminant(&self.schema.kind) == std::mem::discriminant(&kind);
        if !is_known {
            self.schema.kind = kind;
        }
        self.schema
    }

    fn integer(self, bounds: Option<(i64, u64)>) -> u8 {
        self.is(Kind::Integer(bounds)).attempt % NUMBERS
    }

    fn text(self) -> &'static str {
        let attempt = self.is(Kind::Text).attempt;
        TEXTS[usize::from(attempt % TEXT_COUNT)].0
    }

    fn object<'de, V: Visitor<'de>>(self, empty: Object, visitor: V) -> Result<V::Value, Misfit> {
        let run = self.run;
        let schema = self.is(Kind::Object(empty));
        let Kind::Object(object) = &mut schema.kind else {
            return Err(Misfit::Other);
        };
        let mut fields = Fields {
            object,
            run,
            next: 0,
            value: None,
            last: None,
        };
        let result = visitor.visit_map(&mut fields);
        let last = fields.last;
        match &result {
            Err(Misfit::Missing(name)) => {
                if let Some(field) = object.fields.iter_mut().find(|field| field.name == *name) {
                    field.required = true;
                } else if !run.probing {
                    object.fields.push(Field {
                        required: true,
                        ..Field::new(name)
                    });
                    run.learned.set(true);
                    return Err(Misfit::Settled);
                }
            }
            // serde lists a field's other names beside it.
            Err(Misfit::Duplicate(_)) => {
                if let Some(last) = last {
                    object.fields.remove(last);
                    run.learned.set(true);
                    return Err(Misfit::Settled);
                }
            }
            _ => {}
        }
        result
    }

    fn tuple<'de, V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Misfit> {
        let run = self.run;
        let items = std::iter::repeat_with(Schema::default);
        let schema = self.is(Kind::Tuple(items.take(length).collect()));
        let Kind::Tuple(items) = &mut schema.kind else {
            return Err(Misfit::Other);
        };
        let items = items.iter_mut();
        visitor.visit_seq(Items { items, run })
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty => $bounds:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            visitor.$visit(<$type>::from(self.integer($bounds)))
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.is(Kind::Boolean);
        visitor.visit_bool(false)
    }

    integers! {
        deserialize_u8 visit_u8 u8 => Some((0, u8::MAX.into()));
        deserialize_u16 visit_u16 u16 => Some((0, u16::MAX.into()));
        deserialize_u32 visit_u32 u32 => Some((0, u32::MAX.into()));
        deserialize_u64 visit_u64 u64 => Some((0, u64::MAX));
        deserialize_u128 visit_u128 u128 => None;
        deserialize_i16 visit_i16 i16 => Some((i16::MIN.into(), i16::MAX as u64));
        deserialize_i32 visit_i32 i32 => Some((i32::MIN.into(), i32::MAX as u64));
        deserialize_i64 visit_i64 i64 => Some((i64::MIN, i64::MAX as u64));
        deserialize_i128 visit_i128 i128 => None;
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let number = self.integer(Some((i8::MIN.into(), i8::MAX as u64)));
        visitor.visit_i16(number.into())
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let number = self.is(Kind::Number).attempt % NUMBERS;
        visitor.visit_f64(number.into())
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.is(Kind::Char);
        visitor.visit_char('a')
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_borrowed_str(self.text())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.schema.refused {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.is(Kind::Null);
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.run.within(name, || visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let run = self.run;
        let schema = self.is(Kind::Array(Box::default()));
        let Kind::Array(item) = &mut schema.kind else {
            return Err(Misfit::Other);
        };
        let items = std::iter::once(&mut **item).filter(|item| !item.refused);
        run.within("", || visitor.visit_seq(Items { items, run }))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.tuple(length, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.run.within(name, || self.tuple(length, visitor))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.run
            .within("", || self.object(Object::map(Box::default()), visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.run.within(name, || {
            let object = Object {
                name: Some(name),
                fields: fields.iter().map(|name| Field::new(name)).collect(),
                others: None,
            };
            self.object(object, visitor)
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let run = self.run;
        let untried = |&name: &&'static str| Variant {
            name,
            is_unit: None,
        };
        let schema = self.is(Kind::Enum {
            name,
            variants: variants.iter().map(untried).collect(),
        });
        let Kind::Enum { variants, .. } = &mut schema.kind else {
            return Err(Misfit::Other);
        };
        let choice = variants
            .iter()
            .position(|variant| variant.is_unit.is_none())
            .or_else(|| {
                variants
                    .iter()
                    .position(|variant| variant.is_unit == Some(true))
            })
            .ok_or(Misfit::Other)?;
        let variant = &mut variants[choice];
        if variant.is_unit.is_some() {
            return visitor.visit_enum(Choice(variant));
        }
        // One that is refused before it is looked into is at least no plain name.
        variant.is_unit = Some(false);
        run.learned.set(true);
        visitor
            .visit_enum(Choice(variant))
            .map_err(|_| Misfit::Settled)
    }

    forward_to_deserialize_any! { bytes byte_buf identifier ignored_any }
}

/// The fields of a struct, or one entry of a map.
struct Fields<'a> {
    object: &'a mut Object,
    run: &'a Run,
    next: usize,
    /// Whose value comes next.
    value: Option<usize>,
    last: Option<usize>,
}

impl<'de> MapAccess<'de> for &mut Fields<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        while let Some(field) = self.object.fields.get_mut(self.next) {
            let index = self.next;
            self.next += 1;
            if field.schema.refused {
                continue;
            }
            if self.run.probing && !field.probed && !self.run.learned.get() {
                field.probed = true;
                self.run.learned.set(true);
                continue;
            }
            self.value = Some(index);
            self.last = Some(index);
            return seed.deserialize(key(field.name)).map(Some);
        }
        // A map's own entry, once.
        if let Some(others) = &mut self.object.others
            && self.object.fields.is_empty()
            && self.next == 0
            && !others.refused
        {
            self.next = 1;
            let key = seed.deserialize(key(""));
            return key
                .map(Some)
                .map_err(|misfit| others.refuse(self.run, misfit));
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let schema = match (self.value.take(), &mut self.object.others) {
            (Some(index), _) => &mut self.object.fields[index].schema,
            (None, Some(others)) => others,
            (None, None) => return Err(Misfit::Other),
        };
        schema.offer(self.run, seed)
    }
}

fn key(name: &'static str) -> StrDeserializer<'static, Misfit> {
    name.into_deserializer()
}

/// The items of an array or a tuple.
struct Items<'a, I> {
    items: I,
    run: &'a Run,
}

impl<'de, 'a, I: Iterator<Item = &'a mut Schema>> SeqAccess<'de> for Items<'_, I> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let item = self.items.next();
        item.map(|item| item.offer(self.run, seed)).transpose()
    }
}

/// One variant of an enum.
struct Choice<'a>(&'a mut Variant);

impl<'de> EnumAccess<'de> for Choice<'_> {
    type Error = Misfit;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Misfit> {
        Ok((seed.deserialize(key(self.0.name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'_> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        self.0.is_unit = Some(true);
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Misfit> {
        Err(Misfit::Other)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Misfit> {
        Err(Misfit::Other)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Misfit> {
        Err(Misfit::Other)
    }
}
