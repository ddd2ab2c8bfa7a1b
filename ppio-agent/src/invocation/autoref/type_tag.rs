//! A type as a value, so that method resolution can find its kind.

use std::marker::PhantomData;

/// Represents a type, without a value of the type.
pub struct TypeTag<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<T> TypeTag<T> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }

    /// Returns the tag of the type of a value.
    pub fn of(_: &T) -> Self {
        Self::new()
    }
}
