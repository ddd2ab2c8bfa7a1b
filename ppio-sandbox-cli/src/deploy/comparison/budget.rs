//! The amount of work that a comparison may take.

use std::cell::Cell;

use serde_json::Value;

/// The maximum amount of work for one schema, or for checking whether two schemas are the same, in
/// JSON values.
const MAX_OF_SCHEMA: usize = 500_000;
/// The maximum amount of work for a whole comparison, in JSON values.
const MAX_IN_ALL: usize = 5_000_000;

/// The remaining work, counted in JSON values that are read or copied.
///
/// A short document can describe a long one: fourteen one-line schemas, each of which contains the
/// next one ten times, make 10¹⁴ schemas.
#[derive(Debug)]
pub(super) struct WorkBudget(Cell<usize>);

impl WorkBudget {
    pub(super) fn new() -> Self {
        Self(Cell::new(MAX_IN_ALL))
    }

    /// Takes some of the remaining work. If less remains, takes all of it and returns `None`.
    pub(super) fn take(&self, values: usize) -> Option<()> {
        let left = self.0.get().checked_sub(values);
        self.0.set(left.unwrap_or_default());
        left.map(drop)
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }

    /// Takes all of the remaining work.
    pub(super) fn end(&self) {
        self.0.set(0);
    }

    /// Returns the part of the work that one schema may take.
    pub(super) fn of_schema(&self) -> Share<'_> {
        Share {
            all: self,
            own: Self(Cell::new(MAX_OF_SCHEMA)),
        }
    }
}

/// A part of the remaining work. Work that is taken from the part is also taken from the whole.
#[derive(Debug)]
pub(super) struct Share<'a> {
    all: &'a WorkBudget,
    own: WorkBudget,
}

impl Share<'_> {
    /// Takes some of the share and of the whole; `None` if less remains of either of them.
    pub(super) fn take(&self, values: usize) -> Option<()> {
        self.own.take(values)?;
        self.all.take(values)
    }
}

/// Returns the amount of work to copy a value.
pub(super) fn size(value: &Value) -> usize {
    /// The number of bytes of a text that count as another value.
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
