//! A change, and its location in a document.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// The effect of a change on callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::deploy) enum Severity {
    /// A caller that works today may fail.
    Breaking,
    /// It is not known whether the change breaks callers.
    NotCompared,
    /// No caller should fail, but the change may matter to some callers.
    Note,
}

/// A change of the API.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(in crate::deploy) struct Change {
    pub(in crate::deploy) severity: Severity,
    /// The operation and the location in the operation, as in `POST /invocations request /prompt`;
    /// a path alone, or `webhooks`, if the change is not in one operation.
    pub(in crate::deploy) place: String,
    /// A description of the change.
    #[serde(rename = "change")]
    pub(in crate::deploy) text: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// A place in a document: a part of an operation, and a pointer into a value that the part
/// describes.
#[derive(Debug, Clone)]
pub(super) struct Place {
    part: String,
    pointer: String,
}

impl Place {
    pub(super) fn new(part: impl Into<String>) -> Self {
        Self {
            part: part.into(),
            pointer: String::new(),
        }
    }

    /// Returns the place of the part `name` of this part.
    pub(super) fn part(&self, name: &str) -> Self {
        Self::new(format!("{} {name}", self.part))
    }

    /// Returns the place of a member of an object, by RFC 6901.
    pub(super) fn member(&self, name: &str) -> Self {
        self.below(&name.replace('~', "~0").replace('/', "~1"))
    }

    /// Returns the place of an element of an array.
    pub(super) fn element(&self, index: usize) -> Self {
        self.below(&index.to_string())
    }

    /// Returns the place of the members or elements that have no place of their own.
    pub(super) fn others(&self) -> Self {
        self.below("*")
    }

    fn below(&self, step: &str) -> Self {
        Self {
            part: self.part.clone(),
            pointer: format!("{}/{step}", self.pointer),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.part)?;
        if !self.pointer.is_empty() {
            write!(f, " {}", self.pointer)?;
        }
        Ok(())
    }
}

/// Formats the first few values and the number of the others, for use in a sentence.
pub(super) fn list<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
    const SHOWN: usize = 8;
    let mut texts: Vec<_> = values.into_iter().map(Value::to_string).collect();
    if texts.len() > SHOWN {
        let others = texts.len() - SHOWN;
        texts.truncate(SHOWN);
        texts.push(format!("{others} others"));
    }
    texts.join(", ")
}
