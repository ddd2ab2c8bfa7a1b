//! Determines whether a user function returned a `Result`.

use std::convert::Infallible;

use super::type_tag::TypeTag;

/// A success or an error, each in a one-element tuple whose `.0` can have a span of its own.
pub type Split<T, E> = Result<(T,), (E,)>;

/// Matches `Result`s.
pub trait ResultKind {
    /// Returns the kind, whose methods handle the value.
    fn result_kind(&self) -> IsResult {
        IsResult
    }
}

impl<T, E> ResultKind for &TypeTag<Result<T, E>> {}

/// Matches every type except `Result`.
pub trait NonResultKind {
    /// Returns the kind, whose methods handle the value.
    fn result_kind(&self) -> IsNonResult {
        IsNonResult
    }
}

impl<T> NonResultKind for TypeTag<T> {}

/// The kind of a `Result`.
pub struct IsResult;

/// The kind of every type except `Result`.
pub struct IsNonResult;

impl IsResult {
    /// Splits the result.
    pub fn split<T, E>(self, result: Result<T, E>) -> Split<T, E> {
        match result {
            Ok(value) => Ok((value,)),
            Err(error) => Err((error,)),
        }
    }
}

impl IsNonResult {
    /// Returns the value as a success.
    pub fn split<T>(self, value: T) -> Split<T, Infallible> {
        Ok((value,))
    }
}

/// Returns the type of the error of a split result.
pub fn error_of<T, E>(_: &Split<T, E>) -> TypeTag<E> {
    TypeTag::new()
}

/// Implemented by the kind of every type but `Result`; a bound for startup functions whose return
/// type is not named `Result`.
#[diagnostic::on_unimplemented(
    message = "the startup function returns a `Result` under another name",
    label = "an alias of `Result`",
    note = "help: write `Result<T, E>`, or name the alias `Result`: `#[ppio::startup]` reads the \
            state's type from the signature"
)]
pub trait RequireNonResult {}

#[diagnostic::do_not_recommend]
impl RequireNonResult for IsNonResult {}

/// Requires at compile time that a value is not a `Result`.
pub fn require_non_result<K: RequireNonResult>(_: K) {}
