//! How much work a comparison may take.

use std::cell::Cell;

use serde_json::Value;

/// The most that one schema may take, or whether two are the same.
const MAX_OF_SCHEMA: usize = 500_000;
/// The most that a comparison may take.
const MAX_IN_ALL: usize = 5_000_000;

/// The work that is left, counted in JSON values that are looked at or copied.
///
/// A short document can describe a long one: each of fourteen schemas that has the next one ten times
/// is a line, and all of them are 10¹⁴ schemas.
#[derive(Debug)]
pub(super) struct Work(Cell<usize>);

impl Work {
    pub(super) fn new() -> Self {
        Self(Cell::new(MAX_IN_ALL))
    }

    /// Takes some of what is left; `None` if that is less, and then nothing is left.
    pub(super) fn take(&self, values: usize) -> Option<()> {
        let left = self.0.get().checked_sub(values);
        self.0.set(left.unwrap_or_default());
        left.map(drop)
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }

    /// Leaves nothing.
    pub(super) fn end(&self) {
        self.0.set(0);
    }

    /// The part of it that one schema may take.
    pub(super) fn of_schema(&self) -> Share<'_> {
        Share {
            all: self,
            own: Self(Cell::new(MAX_OF_SCHEMA)),
        }
    }
}

/// A part of the work, which is taken from the whole as it is used.
#[derive(Debug)]
pub(super) struct Share<'a> {
    all: &'a Work,
    own: Work,
}

impl Share<'_> {
    /// Takes some of it; `None` if less is left.
    pub(super) fn take(&self, values: usize) -> Option<()> {
        self.own.take(values)?;
        self.all.take(values)
    }
}

/// How much work it is to copy a value.
pub(super) fn size(value: &Value) -> usize {
    /// The length of a text that counts as another value, in bytes.
    const TEXT: usize = 64;
    1 + match value {
        Value::String(text) => text.len() / TEXT,
        Value::Array(values) => values.iter().map(size).sum(),
        Value::Object(members) => {
            let members = members.iter();
            members
                .map(|(name, value)| name.len() / TEXT + size(value))
                .sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}
