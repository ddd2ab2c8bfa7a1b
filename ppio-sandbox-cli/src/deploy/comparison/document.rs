//! An `OpenAPI` document, and the resolution of its references.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::branch::Branch;
use super::budget::{Share, WorkBudget};

/// Keywords that do not affect which values are valid. `discriminator` only names the member that
/// distinguishes alternatives.
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
/// The longest chain of references that is followed.
const MAX_REFERENCES: usize = 32;

/// Whether a keyword does not affect which values are valid.
pub(super) fn is_annotation(keyword: &str) -> bool {
    ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-")
}

/// An `OpenAPI` document.
#[derive(Debug, Clone, Copy)]
pub(super) struct ComparedDocument<'a>(&'a Value);

impl<'a> ComparedDocument<'a> {
    pub(super) fn new(document: &'a Value) -> Self {
        Self(document)
    }

    pub(super) fn root(self) -> &'a Value {
        self.0
    }

    pub(super) fn paths(self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.0["paths"].as_object().into_iter().flatten()
    }

    /// Returns the value that a reference points to; `None` if the value does not exist or is in
    /// another document.
    pub(super) fn target(self, reference: &str) -> Option<&'a Value> {
        self.0.pointer(reference.strip_prefix('#')?)
    }

    /// Returns the value that a chain of references leads to. A reference that cannot be resolved
    /// is itself returned, and so is the first reference of a chain that is too long.
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

/// Returns the reference of a schema that is nothing but a reference and annotations.
pub(super) fn plain_reference(schema: &Value) -> Option<&str> {
    let keywords = schema.as_object()?;
    let reference = keywords.get("$ref")?.as_str()?;
    let mut others = keywords.keys().filter(|keyword| *keyword != "$ref");
    others
        .all(|keyword| is_annotation(keyword))
        .then_some(reference)
}

/// Checks whether values are the same except for annotations and the names of their references.
#[derive(Debug)]
pub(super) struct Sameness<'a, 'w> {
    old: ComparedDocument<'a>,
    new: ComparedDocument<'a>,
    budget: Share<'w>,
    /// Pairs of references found so far. They count as the same, and their targets are compared
    /// once.
    seen: HashSet<(String, String)>,
    /// The targets still to be compared. Recursion could overflow the stack on a long chain of
    /// references.
    targets: Vec<(&'a Value, &'a Value)>,
}

impl<'a, 'w> Sameness<'a, 'w> {
    pub(super) fn new(
        old: ComparedDocument<'a>,
        new: ComparedDocument<'a>,
        budget: &'w WorkBudget,
    ) -> Self {
        Self {
            old,
            new,
            budget: budget.of_schema(),
            seen: HashSet::new(),
            targets: Vec::new(),
        }
    }

    /// Compares two schemas, or lists of them. Schemas that take too much work count as different.
    pub(super) fn of(mut self, old: &Value, new: &Value) -> bool {
        self.values(old, new) && self.all_targets()
    }

    /// Compares the values of a keyword.
    pub(super) fn of_keyword(mut self, keyword: &str, old: &Value, new: &Value) -> bool {
        self.keyword(keyword, old, new) && self.all_targets()
    }

    pub(super) fn of_lists(mut self, old: &[Value], new: &[Value]) -> bool {
        self.lists(old, new) && self.all_targets()
    }

    pub(super) fn of_branches(mut self, old: &Branch, new: &Branch) -> bool {
        self.keywords(&old.keywords, &new.keywords)
            && self.lists(&old.unmerged, &new.unmerged)
            && self.all_targets()
    }

    fn all_targets(&mut self) -> bool {
        while let Some((old, new)) = self.targets.pop() {
            if !self.values(old, new) {
                return false;
            }
        }
        true
    }

    fn values(&mut self, old: &Value, new: &Value) -> bool {
        self.budget.take(1).is_some()
            && match (old, new) {
                (Value::Array(old), Value::Array(new)) => self.lists(old, new),
                (Value::Object(old), Value::Object(new)) => self.keywords(old, new),
                (old, new) => old == new,
            }
    }

    fn lists(&mut self, old: &[Value], new: &[Value]) -> bool {
        let mut pairs = old.iter().zip(new);
        old.len() == new.len() && pairs.all(|(old, new)| self.values(old, new))
    }

    fn keywords(&mut self, old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
        let counts = |keyword: &&String| !is_annotation(keyword);
        old.keys().filter(counts).count() == new.keys().filter(counts).count()
            && old.keys().filter(counts).all(|keyword| {
                let (old, Some(new)) = (&old[keyword], new.get(keyword)) else {
                    return false;
                };
                self.keyword(keyword, old, new)
            })
    }

    fn keyword(&mut self, keyword: &str, old: &Value, new: &Value) -> bool {
        match (keyword, old, new) {
            ("$ref", Value::String(old), Value::String(new)) => self.references(old, new),
            // `title` is an annotation in a schema, but not in a value or as the name of a member.
            ("const" | "enum", old, new) => old == new,
            (keyword, Value::Object(old), Value::Object(new))
                if NAMED_SCHEMAS.contains(&keyword) =>
            {
                self.named(old, new)
            }
            (_, old, new) => self.values(old, new),
        }
    }

    fn named(&mut self, old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
        old.len() == new.len()
            && old.iter().all(|(name, old)| {
                let new = new.get(name);
                new.is_some_and(|new| self.values(old, new))
            })
    }

    fn references(&mut self, old: &str, new: &str) -> bool {
        let targets = (self.old.target(old), self.new.target(new));
        let (Some(left), Some(right)) = targets else {
            return targets == (None, None) && old == new;
        };
        if self.seen.insert((old.to_owned(), new.to_owned())) {
            self.targets.push((left, right));
        }
        true
    }
}
