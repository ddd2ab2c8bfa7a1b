//! A document, whose references are resolved.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// Keywords that say nothing about which values are valid. `discriminator` only names the keyword that
/// tells alternatives apart.
const ANNOTATIONS: [&str; 20] = [
    "title",
    "description",
    "summary",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "discriminator",
    "externalDocs",
    "xml",
    "$comment",
    "$schema",
    "$id",
    "$anchor",
    "$defs",
    "definitions",
    "tags",
    "operationId",
];
/// Keywords whose members are schemas by name.
const NAMED_SCHEMAS: [&str; 3] = ["properties", "patternProperties", "dependentSchemas"];
/// The longest chain of references.
const MAX_REFERENCES: usize = 32;

/// Whether a keyword says nothing about which values are valid.
pub(super) fn is_annotation(keyword: &str) -> bool {
    ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-")
}

/// An `OpenAPI` document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document<'a>(&'a Value);

impl<'a> Document<'a> {
    pub(super) fn new(document: &'a Value) -> Self {
        Self(document)
    }

    pub(super) fn root(self) -> &'a Value {
        self.0
    }

    pub(super) fn paths(self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.0["paths"].as_object().into_iter().flatten()
    }

    /// What a reference names; `None` if it leads nowhere or to another document.
    pub(super) fn target(self, reference: &str) -> Option<&'a Value> {
        self.0.pointer(reference.strip_prefix('#')?)
    }

    /// The value behind its references. One whose references lead nowhere is returned itself.
    pub(super) fn resolve(self, value: &'a Value) -> &'a Value {
        let mut resolved = value;
        for _ in 0..MAX_REFERENCES {
            let Some(reference) = resolved.get("$ref").and_then(Value::as_str) else {
                return resolved;
            };
            match self.target(reference) {
                Some(target) => resolved = target,
                None => return resolved,
            }
        }
        value
    }
}

/// The name in a schema that is nothing but a reference.
pub(super) fn plain_reference(schema: &Value) -> Option<&str> {
    let keywords = schema.as_object()?;
    let reference = keywords.get("$ref")?.as_str()?;
    let mut others = keywords.keys().filter(|keyword| *keyword != "$ref");
    others
        .all(|keyword| is_annotation(keyword))
        .then_some(reference)
}

/// Whether two values are the same but for annotations and the names of what they refer to.
#[derive(Debug)]
pub(super) struct Sameness<'a> {
    old: Document<'a>,
    new: Document<'a>,
    /// Pairs of references that are being compared, or were found to be the same.
    seen: HashSet<(String, String)>,
}

impl<'a> Sameness<'a> {
    pub(super) fn new(old: Document<'a>, new: Document<'a>) -> Self {
        Self {
            old,
            new,
            seen: HashSet::new(),
        }
    }

    /// Compares two schemas, or lists of them.
    pub(super) fn of(&mut self, old: &Value, new: &Value) -> bool {
        match (old, new) {
            (Value::Array(old), Value::Array(new)) => {
                old.len() == new.len() && old.iter().zip(new).all(|(old, new)| self.of(old, new))
            }
            (Value::Object(old), Value::Object(new)) => self.of_keywords(old, new),
            (old, new) => old == new,
        }
    }

    fn of_keywords(&mut self, old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
        let counts = |keyword: &&String| !is_annotation(keyword);
        old.keys().filter(counts).count() == new.keys().filter(counts).count()
            && old.keys().filter(counts).all(|keyword| {
                let (old, Some(new)) = (&old[keyword], new.get(keyword)) else {
                    return false;
                };
                match (keyword.as_str(), old, new) {
                    ("$ref", Value::String(old), Value::String(new)) => self.of_targets(old, new),
                    ("const" | "enum", old, new) => old == new,
                    (keyword, Value::Object(old), Value::Object(new))
                        if NAMED_SCHEMAS.contains(&keyword) =>
                    {
                        self.of_named(old, new)
                    }
                    (_, old, new) => self.of(old, new),
                }
            })
    }

    fn of_named(&mut self, old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
        old.len() == new.len()
            && old.iter().all(|(name, old)| {
                let new = new.get(name);
                new.is_some_and(|new| self.of(old, new))
            })
    }

    fn of_targets(&mut self, old: &str, new: &str) -> bool {
        let targets = (self.old.target(old), self.new.target(new));
        let (Some(left), Some(right)) = targets else {
            return targets == (None, None) && old == new;
        };
        // A pair that is being compared differs only where something else does.
        !self.seen.insert((old.to_owned(), new.to_owned())) || self.of(left, right)
    }
}
