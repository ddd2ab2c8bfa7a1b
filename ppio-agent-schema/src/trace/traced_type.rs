//! The structure of a type, as far as it is known.

use std::borrow::Cow;

use super::pass::PassGoal;

/// Sample texts for types that do not accept every text, each with the JSON Schema format that it
/// represents.
pub(super) const TEXTS: [(&str, Option<&str>); 9] = [
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

/// A type, or the type of a part of it.
#[derive(Debug, Clone, Default)]
pub(super) struct TracedType {
    pub(super) kind: TypeKind,
    /// The index of the sample value to offer next; 0 if the type has refused all sample values.
    pub(super) attempt: usize,
    /// Whether the type has refused all sample values, and is left out from now on.
    pub(super) is_refused: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) enum TypeKind {
    /// Any JSON, or something that `Deserialize` does not show.
    #[default]
    Any,
    Null,
    Boolean,
    /// A whole number, with its bounds; `None` for one of 128 bits.
    Integer(Option<(i64, u64)>),
    Number,
    Text,
    Char,
    Array(Box<TracedType>),
    Tuple(Vec<TracedType>),
    Object(TracedObject),
    /// A name, or an object with a name as its only key.
    Enum {
        name: &'static str,
        variants: Vec<TracedVariant<TracedType>>,
    },
    /// An object whose other fields depend on the tag.
    Tagged {
        name: Option<&'static str>,
        tag: Cow<'static, str>,
        variants: Vec<TracedVariant<TracedObject>>,
    },
}

#[derive(Debug, Clone)]
pub(super) struct TracedObject {
    pub(super) name: Option<&'static str>,
    pub(super) fields: Vec<TracedField>,
    /// The type of the values of other keys: in a map, and in a struct with a flattened field.
    pub(super) others: Option<Box<TracedType>>,
}

#[derive(Debug, Clone)]
pub(super) struct TracedField {
    pub(super) name: Cow<'static, str>,
    pub(super) traced: TracedType,
    pub(super) is_required: bool,
    /// Whether the field was left out once.
    pub(super) is_probed: bool,
}

#[derive(Debug, Clone)]
pub(super) struct TracedVariant<B> {
    pub(super) name: &'static str,
    /// The fields or the value of the variant.
    pub(super) body: B,
    /// Whether the variant is a name and nothing else; `None` until that is known.
    pub(super) is_unit: Option<bool>,
    pub(super) is_refused: bool,
    /// The last goal for which nothing more can be found in the variant.
    pub(super) explored: Option<PassGoal>,
}

impl TracedType {
    /// Returns the text to offer next.
    pub(super) fn text(&self) -> &'static str {
        TEXTS[self.attempt].0
    }

    /// Returns the object if it accepts any key: a map, or a struct with a flattened field.
    pub(super) fn open_object(&mut self) -> Option<&mut TracedObject> {
        match &mut self.kind {
            TypeKind::Object(object) if object.others.is_some() => Some(object),
            _ => None,
        }
    }
}

impl TypeKind {
    pub(super) fn unsigned(maximum: u64) -> Self {
        Self::Integer(Some((0, maximum)))
    }

    pub(super) fn signed(minimum: i64, maximum: i64) -> Self {
        Self::Integer(Some((minimum, maximum.unsigned_abs())))
    }
}

impl TracedObject {
    pub(super) fn of_fields(name: Option<&'static str>, fields: &[&'static str]) -> Self {
        Self {
            name,
            fields: fields
                .iter()
                .map(|name| TracedField::new((*name).into()))
                .collect(),
            others: None,
        }
    }

    pub(super) fn map() -> Self {
        Self {
            others: Some(Box::default()),
            ..Self::of_fields(None, &[])
        }
    }
}

impl TracedField {
    pub(super) fn new(name: Cow<'static, str>) -> Self {
        Self {
            name,
            traced: TracedType::default(),
            is_required: false,
            is_probed: false,
        }
    }
}

impl<B> TracedVariant<B> {
    pub(super) fn new(name: &'static str, body: B) -> Self {
        Self {
            name,
            body,
            is_unit: None,
            is_refused: false,
            explored: None,
        }
    }
}
