//! Converts the errors of user functions.

use std::error::Error as StdError;
use std::fmt::Display;
use std::ops::Deref;

use super::type_tag::TypeTag;
use crate::exchange::error::{Error, type_name};

/// Matches boxed errors: `anyhow::Error`, `eyre::Report`, `Box<dyn Error>`.
pub trait BoxedErrorKind {
    /// Returns the kind, which selects the conversion.
    fn error_kind(&self) -> IsBoxedError {
        IsBoxedError
    }
}

impl<E: Deref<Target: DynError>> BoxedErrorKind for &&TypeTag<E> {}

/// Matches other types that implement `std::error::Error`.
pub trait StdErrorKind {
    /// Returns the kind, which selects the conversion.
    fn error_kind(&self) -> IsStdError {
        IsStdError
    }
}

impl<E: StdError + 'static> StdErrorKind for &TypeTag<E> {}

/// Matches the remaining errors.
pub trait DisplayKind {
    /// Returns the kind, which selects the conversion.
    fn error_kind(&self) -> IsDisplay {
        IsDisplay
    }
}

impl<E> DisplayKind for TypeTag<E> {}

/// The kind of an error behind a pointer.
pub struct IsBoxedError;

/// The kind of an error with sources.
pub struct IsStdError;

/// The kind of an error that is only a text.
pub struct IsDisplay;

/// The `dyn Error` types that a pointer can point to.
pub trait DynError {
    /// Returns the error as a `dyn Error` without `Send` and `Sync`.
    fn as_error(&self) -> &(dyn StdError + 'static);
}

macro_rules! dyn_errors {
    ($($type:ty),*) => {$(
        impl DynError for $type {
            fn as_error(&self) -> &(dyn StdError + 'static) {
                self
            }
        }
    )*};
}

dyn_errors!(
    dyn StdError,
    dyn StdError + Send,
    dyn StdError + Send + Sync
);

/// Converts the error of a startup or shutdown function.
pub fn hook_error<E, K: ConvertError<E>>(_: K, error: E) -> Error {
    K::convert(error)
}

/// Converts the error of a user function.
#[diagnostic::on_unimplemented(
    message = "a function of the agent cannot return the error `{E}`",
    label = "the error does not implement `std::fmt::Display`",
    note = "help: implement `std::fmt::Display` for the error, for example with `#[derive(thiserror::Error)]`, or return `ppio::Error`"
)]
pub trait ConvertError<E> {
    /// Converts one error.
    fn convert(error: E) -> Error;
}

#[diagnostic::do_not_recommend]
impl<E: Deref<Target: DynError>> ConvertError<E> for IsBoxedError {
    fn convert(error: E) -> Error {
        Error::from_user(type_name::<E>(), error.as_error())
    }
}

#[diagnostic::do_not_recommend]
impl<E: StdError + 'static> ConvertError<E> for IsStdError {
    fn convert(error: E) -> Error {
        Error::from_user(type_name::<E>(), &error)
    }
}

#[diagnostic::do_not_recommend]
impl<E: Display> ConvertError<E> for IsDisplay {
    fn convert(error: E) -> Error {
        Error::internal(error.to_string()).with_type(type_name::<E>())
    }
}
