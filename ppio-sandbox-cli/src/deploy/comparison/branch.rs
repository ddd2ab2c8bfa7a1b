//! Values of one JSON type, as a schema limits them.

use serde_json::{Map, Value};

use super::budget::size;

/// A JSON type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// The types of a schema without `type`; integers are numbers.
    pub(super) const ALL: [Self; 6] = [
        Self::Null,
        Self::Boolean,
        Self::Number,
        Self::String,
        Self::Array,
        Self::Object,
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        let kinds = Self::ALL.into_iter().chain([Self::Integer]);
        kinds.into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    /// Whether every value of `other` is one of this type.
    pub(super) fn includes(self, other: Self) -> bool {
        self == other || (self, other) == (Self::Number, Self::Integer)
    }

    pub(super) fn has(self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::Boolean => value.is_boolean(),
            Self::Integer => value
                .as_f64()
                .is_some_and(|number| number.fract().abs() < f64::EPSILON),
            Self::Number => value.is_number(),
            Self::String => value.is_string(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }

    /// Whether a keyword may limit values of this type; `true` for unknown keywords.
    pub(super) fn is_limited_by(self, keyword: &str) -> bool {
        match keyword {
            "minLength" | "maxLength" | "pattern" | "contentEncoding" | "contentMediaType"
            | "contentSchema" => self == Self::String,
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                matches!(self, Self::Integer | Self::Number)
            }
            "format" => matches!(self, Self::Integer | Self::Number | Self::String),
            "items" | "prefixItems" | "minItems" | "maxItems" | "uniqueItems" | "contains"
            | "minContains" | "maxContains" | "unevaluatedItems" => self == Self::Array,
            "properties"
            | "required"
            | "additionalProperties"
            | "minProperties"
            | "maxProperties"
            | "patternProperties"
            | "propertyNames"
            | "dependentRequired"
            | "dependentSchemas"
            | "unevaluatedProperties" => self == Self::Object,
            _ => true,
        }
    }
}

/// Values of one type, with the keywords that limit them.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) kind: Kind,
    /// The keywords with their values. A `const` is stored as an `enum` of one value.
    pub(super) keywords: Map<String, Value>,
    /// The name of the component that the branch comes from, by which branches without a common tag
    /// are paired.
    pub(super) component: Option<String>,
    /// The reference, if the branch consists of nothing else.
    pub(super) reference: Option<String>,
    /// Keywords of schemas that a value has to satisfy together, and that cannot be merged.
    pub(super) unmerged: Vec<Value>,
}

impl Branch {
    /// Returns the values of an enumeration.
    pub(super) fn values(&self) -> Option<&Vec<Value>> {
        self.keywords.get("enum").and_then(Value::as_array)
    }

    /// Returns the amount of work to copy the branch.
    pub(super) fn size(&self) -> usize {
        let parts = self.keywords.values().chain(&self.unmerged);
        1 + parts.map(size).sum::<usize>()
    }

    /// Whether every value of the type is valid.
    pub(super) fn is_plain(&self) -> bool {
        self.keywords.is_empty() && self.unmerged.is_empty()
    }
}

/// Returns the types of branches, for use in a sentence.
pub(super) fn types(branches: &[Branch]) -> String {
    let mut kinds: Vec<_> = branches.iter().map(|branch| branch.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    match &*kinds {
        [] => "nothing".to_owned(),
        kinds if Kind::ALL.iter().all(|kind| kinds.contains(kind)) => "any".to_owned(),
        kinds => {
            let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            names.join(" or ")
        }
    }
}
