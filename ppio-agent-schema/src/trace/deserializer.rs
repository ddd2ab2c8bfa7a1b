//! The deserializer that offers sample values and records what the type expects.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer as _, SeqAccess, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::pass::Pass;
use super::refused::Refused;
use super::traced_type::{TracedObject, TracedType, TracedVariant, TypeKind};

/// The maximum length of a tuple that is described; none of serde's own types accepts a longer one.
const MAX_TUPLE_LENGTH: usize = 64;

pub(super) struct Tracer<'a> {
    traced: &'a mut TracedType,
    pass: &'a Pass<'a>,
}

impl<'a> Tracer<'a> {
    pub(super) fn new(traced: &'a mut TracedType, pass: &'a Pass<'a>) -> Self {
        Self { traced, pass }
    }

    /// Counts a value, and records what the type expects unless that is known.
    fn record_kind(&mut self, kind: TypeKind) -> Result<(), Refused> {
        self.pass.count()?;
        if std::mem::discriminant(&self.traced.kind) != std::mem::discriminant(&kind) {
            self.traced.kind = kind;
        }
        Ok(())
    }

    fn number(&mut self, kind: TypeKind) -> Result<u8, Refused> {
        self.record_kind(kind)?;
        Ok(u8::from(self.traced.attempt == 1))
    }

    /// Visits a struct or a map.
    fn visit_type<'de, V: Visitor<'de>>(
        mut self,
        object: TracedObject,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let pass = self.pass;
        pass.within::<V::Value, _>(|| {
            if !matches!(self.traced.kind, TypeKind::Tagged { .. }) {
                self.record_kind(TypeKind::Object(object))?;
            }
            self.visit_object(visitor)
        })
    }

    fn visit_object<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let (traced, pass) = (self.traced, self.pass);
        let result = match &mut traced.kind {
            TypeKind::Object(object) => object.visit(None, pass, visitor),
            TypeKind::Tagged { tag, variants, .. } => {
                TracedVariant::explore(variants, pass, |variant| {
                    variant.body.visit(Some((tag, variant.name)), pass, visitor)
                })
            }
            _ => Err(Refused::Other),
        };
        if let (Err(Refused::Tag(tag, names)), TypeKind::Object(object)) =
            (&result, &mut traced.kind)
        {
            let tag = object.fields.remove(*tag).name;
            let name = object.name.take();
            let variants = names
                .iter()
                .map(|name| TracedVariant::new(name, object.clone()));
            let variants = variants.collect();
            traced.kind = TypeKind::Tagged {
                name,
                tag,
                variants,
            };
            pass.learned.set(true);
            return Err(Refused::Noted);
        }
        result
    }

    /// Offers a map, which becomes an object if the type reports a missing field.
    fn visit_empty_map<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let mut object = TracedObject::of_fields(None, &[]);
        let result = object.visit(None, self.pass, visitor);
        if !object.fields.is_empty() {
            self.traced.kind = TypeKind::Object(object);
        }
        result
    }

    fn visit_tuple<'de, V: Visitor<'de>>(
        mut self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let items = std::iter::repeat_with(TracedType::default);
        self.record_kind(TypeKind::Tuple(
            items.take(length.min(MAX_TUPLE_LENGTH)).collect(),
        ))?;
        let (traced, pass) = (self.traced, self.pass);
        let TypeKind::Tuple(items) = &mut traced.kind else {
            return Err(Refused::Other);
        };
        let items = items.iter_mut();
        visitor.visit_seq(Elements { items, pass })
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty => $kind:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
            visitor.$visit(<$type>::from(self.number($kind)?))
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Refused;

    /// Offers one value of each kind until one is accepted; other kinds may be accepted too.
    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        if let TypeKind::Object(_) | TypeKind::Tagged { .. } = self.traced.kind {
            self.pass.count()?;
            return self.visit_object(visitor);
        }
        self.record_kind(TypeKind::Any)?;
        match self.traced.attempt {
            0 => visitor.visit_unit(),
            1 => visitor.visit_borrowed_str(""),
            2 => visitor.visit_u8(0),
            3 => visitor.visit_bool(false),
            4 => visitor.visit_seq(Elements {
                items: [].iter_mut(),
                pass: self.pass,
            }),
            _ => self.visit_empty_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.record_kind(TypeKind::Boolean)?;
        visitor.visit_bool(false)
    }

    integers! {
        deserialize_u8 visit_u8 u8 => TypeKind::unsigned(u8::MAX.into());
        deserialize_u16 visit_u16 u16 => TypeKind::unsigned(u16::MAX.into());
        deserialize_u32 visit_u32 u32 => TypeKind::unsigned(u32::MAX.into());
        deserialize_u64 visit_u64 u64 => TypeKind::unsigned(u64::MAX);
        deserialize_u128 visit_u128 u128 => TypeKind::Integer(None);
        deserialize_i8 visit_i16 i16 => TypeKind::signed(i8::MIN.into(), i8::MAX.into());
        deserialize_i16 visit_i16 i16 => TypeKind::signed(i16::MIN.into(), i16::MAX.into());
        deserialize_i32 visit_i32 i32 => TypeKind::signed(i32::MIN.into(), i32::MAX.into());
        deserialize_i64 visit_i64 i64 => TypeKind::signed(i64::MIN, i64::MAX);
        deserialize_i128 visit_i128 i128 => TypeKind::Integer(None);
        deserialize_f32 visit_f32 f32 => TypeKind::Number;
        deserialize_f64 visit_f64 f64 => TypeKind::Number;
    }

    fn deserialize_char<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.record_kind(TypeKind::Char)?;
        visitor.visit_char('a')
    }

    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.record_kind(TypeKind::Text)?;
        visitor.visit_borrowed_str(self.traced.text())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    /// Reads the tag of an internally tagged enum: the names of the variants come with the error.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.pass.count()?;
        visitor.visit_borrowed_str("")
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        if self.traced.is_refused {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.record_kind(TypeKind::Null)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.pass
            .within::<V::Value, _>(|| visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.record_kind(TypeKind::Array(Box::default()))?;
        let (traced, pass) = (self.traced, self.pass);
        let TypeKind::Array(item) = &mut traced.kind else {
            return Err(Refused::Other);
        };
        let items = std::iter::once(&mut **item).filter(|item| !item.is_refused);
        pass.within::<V::Value, _>(|| visitor.visit_seq(Elements { items, pass }))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.pass
            .within::<V::Value, _>(|| self.visit_tuple(length, visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.visit_type(TracedObject::map(), visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.visit_type(TracedObject::of_fields(Some(name), fields), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let pass = self.pass;
        if pass.is_adjacent_tag::<V::Value>(name) {
            return Err(Refused::UnknownVariant(variants));
        }
        pass.within::<V::Value, _>(|| {
            let variants = variants
                .iter()
                .map(|name| TracedVariant::new(name, TracedType::default()));
            self.record_kind(TypeKind::Enum {
                name,
                variants: variants.collect(),
            })?;
            let TypeKind::Enum { variants, .. } = &mut self.traced.kind else {
                return Err(Refused::Other);
            };
            TracedVariant::explore(variants, pass, |variant| {
                visitor.visit_enum(ChosenVariant { variant, pass })
            })
        })
    }

    forward_to_deserialize_any! { bytes byte_buf ignored_any }
}

/// The items of an array or a tuple.
struct Elements<'a, I> {
    items: I,
    pass: &'a Pass<'a>,
}

impl<'de, 'a, I: Iterator<Item = &'a mut TracedType>> SeqAccess<'de> for Elements<'_, I> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        offer(item, self.pass, seed).map(Some)
    }
}

/// One variant of an enum.
struct ChosenVariant<'a> {
    variant: &'a mut TracedVariant<TracedType>,
    pass: &'a Pass<'a>,
}

impl<'de> EnumAccess<'de> for ChosenVariant<'_> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refused> {
        Ok((
            seed.deserialize(self.variant.name.into_deserializer())?,
            self,
        ))
    }
}

impl<'de> VariantAccess<'de> for ChosenVariant<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        self.variant.is_unit = Some(true);
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        self.variant.is_unit = Some(false);
        offer(&mut self.variant.body, self.pass, seed)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.variant.is_unit = Some(false);
        Tracer::new(&mut self.variant.body, self.pass).visit_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.variant.is_unit = Some(false);
        let mut tracer = Tracer::new(&mut self.variant.body, self.pass);
        tracer.record_kind(TypeKind::Object(TracedObject::of_fields(None, fields)))?;
        tracer.visit_object(visitor)
    }
}

/// Deserializes a part of a value, and updates the traced type when the part is refused.
fn offer<'de, S: DeserializeSeed<'de>>(
    traced: &mut TracedType,
    pass: &Pass<'_>,
    seed: S,
) -> Result<S::Value, Refused> {
    let result = seed.deserialize(Tracer::new(traced, pass));
    result.map_err(|refused| traced.refuse(pass, refused))
}
