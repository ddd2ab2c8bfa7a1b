//! A finished schema.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value, json};

/// The order in which the keywords of a schema are written. A list of properties has its own order.
const KEYWORDS: &str = "title description default deprecated examples type format minimum maximum \
    minLength maxLength const enum anyOf oneOf items prefixItems minItems maxItems properties \
    required additionalProperties";

/// A JSON Schema (2020-12), without `$schema`. References in it resolve against its own root.
///
/// Serializes with the properties in the order of their declaration, which a
/// [`serde_json::Value`] does not keep.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    value: Value,
    /// The names of the fields of each struct, in the order of their declaration.
    declarations: Vec<Vec<String>>,
}

impl Schema {
    /// Returns the schema that every JSON value fits: `{}`.
    pub fn any() -> Self {
        Self::new(json!({}), Vec::new())
    }

    pub(crate) fn new(value: Value, declarations: Vec<Vec<String>>) -> Self {
        Self {
            value,
            declarations,
        }
    }

    pub(crate) fn declarations(self) -> Vec<Vec<String>> {
        self.declarations
    }

    /// Returns the schema as JSON, always an object.
    pub fn as_value(&self) -> &Value {
        &self.value
    }

    /// Returns the schema as JSON, always an object.
    pub fn into_value(self) -> Value {
        self.value
    }

    /// Whether every JSON value fits, as for a type without a known schema.
    pub fn is_any(&self) -> bool {
        self.value.as_object().is_some_and(Map::is_empty)
    }

    /// Returns a function that returns the position of a key: in the declaration that all keys of
    /// the object belong to, otherwise in [`KEYWORDS`].
    fn rank(&self, object: &Map<String, Value>) -> impl Fn(&str) -> usize {
        let declared = self
            .declarations
            .iter()
            .find(|names| object.keys().all(|key| names.contains(key)))
            .map(Vec::as_slice);
        move |key| {
            match declared {
                Some(names) => names.iter().position(|name| name == key),
                None => KEYWORDS.split(' ').position(|keyword| keyword == key),
            }
            .unwrap_or(usize::MAX)
        }
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (schema, value) = (self, &self.value);
        Ordered { schema, value }.serialize(serializer)
    }
}

/// A part of a schema, written in the order of declaration.
struct Ordered<'a> {
    schema: &'a Schema,
    value: &'a Value,
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let schema = self.schema;
        match self.value {
            Value::Array(items) => {
                serializer.collect_seq(items.iter().map(|value| Ordered { schema, value }))
            }
            Value::Object(object) => {
                let rank = schema.rank(object);
                let mut entries: Vec<_> = object.iter().collect();
                entries.sort_by_key(|(key, _)| rank(key));
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, &Ordered { schema, value })?;
                }
                map.end()
            }
            scalar => scalar.serialize(serializer),
        }
    }
}
