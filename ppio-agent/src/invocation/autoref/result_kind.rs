//! Whether the function returned a `Result`.

use std::convert::Infallible;

use super::type_tag::TypeTag;

/// A success or an error.
pub type Split<T, E> = Result<(T,), (E,)>;

/// Matches `Result`s.
pub trait ResultKind {
    /// Returns the kind, whose methods handle the value.
    fn result_kind(&self) -> IsResult {
        IsResult
    }
}

impl<T, E> ResultKind for &TypeTag<Result<T, E>> {}

/// Matches all types but `Result`s.
pub trait NotResultKind {
    /// Returns the kind, whose methods handle the value.
    fn result_kind(&self) -> IsNotResult {
        IsNotResult
    }
}

impl<T> NotResultKind for TypeTag<T> {}

/// A `Result`.
pub struct IsResult;

/// Any other type.
pub struct IsNotResult;

impl IsResult {
    /// Splits the result.
    pub fn split<T, E>(self, result: Result<T, E>) -> Split<T, E> {
        match result {
            Ok(value) => Ok((value,)),
            Err(error) => Err((error,)),
        }
    }
}

impl IsNotResult {
    /// Makes the value a success.
    pub fn split<T>(self, value: T) -> Split<T, Infallible> {
        Ok((value,))
    }
}

/// Returns the type of the error of a split result.
pub fn error_of<T, E>(_: &Split<T, E>) -> TypeTag<E> {
    TypeTag::new()
}

/// A return type of a startup function that is not written as a `Result`.
#[diagnostic::on_unimplemented(
    message = "the startup function returns a `Result` under another name",
    label = "an alias of `Result`",
    note = "help: write `Result<T, E>`, or name the alias `Result`, so that the attribute sees which type is built"
)]
pub trait NoResult {}

#[diagnostic::do_not_recommend]
impl NoResult for IsNotResult {}

/// Requires that a value is not a `Result`.
pub fn no_result<K: NoResult>(_: K) {}
