//! One pass over a type.

use std::cell::{Cell, RefCell};

use super::refused::Refused;

/// The maximum depth to which nested types are followed.
const MAX_DEPTH: usize = 24;

/// The goal of the passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PassGoal {
    /// Values that the type accepts.
    Values,
    /// Fields that the type requires.
    Required,
}

pub(super) struct Pass<'a> {
    pub(super) goal: PassGoal,
    /// Whether this pass has found something new, so that another pass is needed.
    pub(super) learned: Cell<bool>,
    /// Whether a field was left out. A pass leaves out at most one field, so that it is clear which
    /// field is missing.
    pub(super) left_out: Cell<bool>,
    /// The types that are being deserialized, outermost first.
    types: RefCell<Vec<&'static str>>,
    /// How many more sample values may be offered.
    values: &'a Cell<u32>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(goal: PassGoal, values: &'a Cell<u32>) -> Self {
        Self {
            goal,
            learned: Cell::new(false),
            left_out: Cell::new(false),
            types: RefCell::default(),
            values,
        }
    }

    /// Counts one sample value. Fails when the limit is reached.
    pub(super) fn count(&self) -> Result<(), Refused> {
        let left = self.values.get().checked_sub(1).ok_or(Refused::Other)?;
        self.values.set(left);
        Ok(())
    }

    /// Runs `inner` within the type `T`. Fails if `T` is being deserialized already, and at the
    /// depth [`MAX_DEPTH`].
    pub(super) fn within<T, R>(
        &self,
        inner: impl FnOnce() -> Result<R, Refused>,
    ) -> Result<R, Refused> {
        let name = std::any::type_name::<T>();
        {
            let mut types = self.types.borrow_mut();
            if types.len() == MAX_DEPTH || types.contains(&name) {
                return Err(Refused::Other);
            }
            types.push(name);
        }
        let result = inner();
        self.types.borrow_mut().pop();
        result
    }

    /// Whether `T` is the tag of an adjacently tagged enum called `name`. serde reads such an enum
    /// as a struct, and its tag as an enum of a helper type; both have the name of the enum.
    pub(super) fn is_adjacent_tag<T>(&self, name: &str) -> bool {
        let types = self.types.borrow();
        let outer = types.last().map(|path| last_segment(path));
        outer == Some(name) && last_segment(std::any::type_name::<T>()) != name
    }
}

/// Returns the name of a type without its path and its parameters.
fn last_segment(path: &str) -> &str {
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}
