//! Writes a traced type as a JSON Schema.
//!
//! Each function adds the names of the fields that it writes to `declarations`, one list per
//! struct.

use serde_json::{Map, Value, json};

use super::traced_type::{TEXTS, TracedObject, TracedType, TracedVariant, TypeKind};

impl TracedType {
    pub(super) fn to_json(&self, declarations: &mut Vec<Vec<String>>) -> Value {
        match &self.kind {
            TypeKind::Any => json!({}),
            TypeKind::Null => json!({"type": "null"}),
            TypeKind::Boolean => json!({"type": "boolean"}),
            TypeKind::Number => json!({"type": "number"}),
            TypeKind::Integer(None) => json!({"type": "integer"}),
            TypeKind::Integer(Some((minimum, maximum))) => {
                // Zero was refused, as by `NonZeroU8`.
                let minimum = if *minimum == 0 && self.attempt == 1 {
                    1
                } else {
                    *minimum
                };
                json!({"type": "integer", "minimum": minimum, "maximum": maximum})
            }
            TypeKind::Text => match TEXTS[self.attempt].1 {
                Some(format) => json!({"type": "string", "format": format}),
                None => json!({"type": "string"}),
            },
            TypeKind::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
            TypeKind::Array(item) => object([
                ("type", json!("array")),
                ("items", item.to_json(declarations)),
            ]),
            TypeKind::Tuple(items) => {
                let length = items.len();
                let items = items.iter().map(|item| item.to_json(declarations));
                object([
                    ("type", json!("array")),
                    ("prefixItems", items.collect()),
                    ("minItems", json!(length)),
                    ("maxItems", json!(length)),
                ])
            }
            TypeKind::Object(object) => object.to_json(None, declarations),
            TypeKind::Enum { name, variants } => externally_tagged(name, variants, declarations),
            TypeKind::Tagged {
                name,
                tag,
                variants,
            } => {
                let variants = variants.iter().map(|variant| {
                    let tag = Some((tag.as_ref(), variant.name));
                    variant.body.to_json(tag, declarations)
                });
                let mut schema = object([("oneOf", variants.collect())]);
                if let Some(name) = name {
                    schema["title"] = json!(name);
                }
                schema
            }
        }
    }
}

fn externally_tagged(
    name: &str,
    variants: &[TracedVariant<TracedType>],
    declarations: &mut Vec<Vec<String>>,
) -> Value {
    if variants.iter().any(|variant| variant.is_unit.is_none()) {
        return json!({"title": name});
    }
    let (units, others): (Vec<_>, Vec<_>) = variants
        .iter()
        .partition(|variant| variant.is_unit == Some(true));
    let units: Vec<_> = units.iter().map(|variant| variant.name).collect();
    if others.is_empty() {
        return json!({"title": name, "enum": units});
    }
    let units = (!units.is_empty()).then(|| json!({"enum": units}));
    let others = others.iter().map(|variant| {
        let body = variant.body.to_json(declarations);
        object([
            ("type", json!("object")),
            ("properties", object([(variant.name, body)])),
            ("required", json!([variant.name])),
            ("additionalProperties", json!(false)),
        ])
    });
    object([
        ("title", json!(name)),
        ("oneOf", units.into_iter().chain(others).collect()),
    ])
}

/// Returns an object whose values are moved into it; `json!` would copy them.
fn object<const N: usize>(parts: [(&str, Value); N]) -> Value {
    let parts = parts.into_iter();
    Value::Object(parts.map(|(key, part)| (key.to_owned(), part)).collect())
}

impl TracedObject {
    /// Returns the JSON Schema. `tag` is the name of the tag and its value for this object.
    fn to_json(&self, tag: Option<(&str, &str)>, declarations: &mut Vec<Vec<String>>) -> Value {
        let mut schema = Map::new();
        if let Some(name) = self.name {
            schema.insert("title".to_owned(), json!(name));
        }
        schema.insert("type".to_owned(), json!("object"));
        // A map has neither properties nor required ones.
        if self.name.is_some() || tag.is_some() || !self.fields.is_empty() {
            let mut properties = Map::new();
            let (mut names, mut required) = (Vec::new(), Vec::new());
            if let Some((tag, name)) = tag {
                properties.insert(tag.to_owned(), json!({"const": name}));
                names.push(tag.to_owned());
                required.push(tag);
            }
            for field in &self.fields {
                properties.insert(field.name.to_string(), field.traced.to_json(declarations));
                names.push(field.name.to_string());
                if field.is_required {
                    required.push(&field.name);
                }
            }
            if !declarations.contains(&names) {
                declarations.push(names);
            }
            schema.insert("required".to_owned(), json!(required));
            schema.insert("properties".to_owned(), properties.into());
        }
        if let Some(others) = &self.others {
            let others = others.to_json(declarations);
            schema.insert("additionalProperties".to_owned(), others);
        }
        schema.into()
    }
}
