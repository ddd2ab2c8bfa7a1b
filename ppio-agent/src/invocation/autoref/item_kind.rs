//! Determines whether the items of a stream or an iterator are `Result`s.

use std::convert::Infallible;

use serde::Serialize;

use super::error_kind::ConvertError;
use super::type_tag::TypeTag;
use crate::invocation::reply::ItemWriter;

/// Matches items that are `Result`s.
pub trait ResultItemKind {
    /// The error type of the items.
    type Error;
    /// Returns the kind, which writes the items.
    fn item_kind(&self) -> ResultItem {
        ResultItem
    }
    /// Returns the error type of the items.
    fn item_error(&self) -> TypeTag<Self::Error> {
        TypeTag::new()
    }
}

impl<T, E> ResultItemKind for &TypeTag<Result<T, E>> {
    type Error = E;
}

/// Matches all items but `Result`s.
pub trait PlainItemKind {
    /// Returns the kind, which writes the items.
    fn item_kind(&self) -> PlainItem {
        PlainItem
    }
    /// Returns the error type of plain items, which cannot fail.
    fn item_error(&self) -> TypeTag<Infallible> {
        TypeTag::new()
    }
}

impl<T> PlainItemKind for TypeTag<T> {}

/// The kind of items that are values.
pub struct PlainItem;
/// The kind of items that are `Result`s of values.
pub struct ResultItem;

/// An item that can be written as JSON.
#[diagnostic::on_unimplemented(
    message = "a stream cannot have items of type `{Self}`",
    label = "the items do not implement `serde::Serialize`",
    note = "help: add `#[derive(serde::Serialize)]` to the type of the items"
)]
pub trait AgentItem: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> AgentItem for T {}

impl PlainItem {
    /// Returns the function that writes items that are values.
    pub fn writer<T: AgentItem, K>(self, _: TypeTag<T>, _: K) -> ItemWriter<T> {
        ItemWriter::new(|item, buffer| buffer.push(&item))
    }
}

impl ResultItem {
    /// Returns the function that writes items that are `Result`s, and converts their errors.
    pub fn writer<T: AgentItem, E, K: ConvertError<E>>(
        self,
        _: TypeTag<Result<T, E>>,
        _: K,
    ) -> ItemWriter<Result<T, E>> {
        ItemWriter::new(|item: Result<T, E>, buffer| buffer.push(&item.map_err(K::convert)?))
    }
}
