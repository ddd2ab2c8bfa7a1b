//! Delivers a reply whose kind is known.

use std::future::{Ready, ready};

use futures_core::Stream;
use serde::Serialize;

use super::error_kind::ConvertError;
use super::type_tag::TypeTag;
use crate::exchange::error::Error;
use crate::invocation::event_buffer::EventBuffer;
use crate::invocation::reply::{ItemWriter, Outcome, Reply, send_iterator, send_stream};

/// A reply whose kind is known.
pub trait Shape: Sized {
    /// The type of the reply's items; `()` for a reply in one piece.
    type Item;
}

/// Returns the type of the items of a reply.
pub fn item_of<S: Shape>(_: &S) -> TypeTag<S::Item> {
    TypeTag::new()
}

/// Combines a reply with the function that writes its items.
pub fn reply<S: Shape>(shape: S, writer: ItemWriter<S::Item>) -> TypedReply<S> {
    TypedReply::Shape(shape, writer)
}

/// A reply in one piece.
pub struct Whole(pub(super) Outcome);
/// The items of a stream.
pub struct Streaming<S>(pub(super) S);
/// The items of an iterator.
pub struct Iterating<I>(pub(super) I);

/// A reply in one piece, or items.
pub enum WholeOr<S> {
    /// A reply in one piece.
    Whole(Whole),
    /// The items of a reply.
    Items(S),
}

impl<S> WholeOr<S> {
    pub(super) fn new<T: Serialize, I>(
        reply: Reply<T, I>,
        buffer: &EventBuffer,
        items: impl FnOnce(I) -> S,
    ) -> Self {
        match reply {
            Reply::Value(value) => Self::Whole(Whole(Outcome::value(&value, buffer))),
            Reply::Stream(stream) => Self::Items(items(stream)),
        }
    }
}

impl<S: Shape> Shape for WholeOr<S> {
    type Item = S::Item;
}
impl Shape for Whole {
    type Item = ();
}
impl<S: Stream> Shape for Streaming<S> {
    type Item = S::Item;
}
impl<I: Iterator> Shape for Iterating<I> {
    type Item = I::Item;
}

/// The reply of a user function.
pub enum TypedReply<S: Shape> {
    /// A success, and the function that writes its items.
    Shape(S, ItemWriter<S::Item>),
    /// An error.
    Failed(Error),
}

/// Returns the reply of a function that returned an error.
pub fn fail<E, K: ConvertError<E>, S: Shape>(_: K, error: E) -> TypedReply<S> {
    TypedReply::Failed(K::convert(error))
}

impl TypedReply<Whole> {
    /// Returns the outcome.
    pub fn deliver(self, _: &EventBuffer) -> Ready<Outcome> {
        ready(match self {
            Self::Shape(Whole(outcome), _) => outcome,
            Self::Failed(error) => Outcome::Failed(error),
        })
    }
}
impl<S: Stream> TypedReply<Streaming<S>> {
    /// Sends every item.
    pub async fn deliver(self, buffer: &EventBuffer) -> Outcome {
        match self {
            Self::Shape(Streaming(stream), writer) => send_stream(stream, writer, buffer).await,
            Self::Failed(error) => Outcome::Failed(error),
        }
    }
}
impl<I: Iterator> TypedReply<Iterating<I>> {
    /// Sends every item.
    pub async fn deliver(self, buffer: &EventBuffer) -> Outcome {
        match self {
            Self::Shape(Iterating(iterator), writer) => {
                send_iterator(iterator, writer, buffer).await
            }
            Self::Failed(error) => Outcome::Failed(error),
        }
    }
}
impl<S: Shape> TypedReply<WholeOr<S>> {
    /// Returns a reply with items as `Ok`, and the outcome of any other reply as `Err`.
    fn split(self) -> Result<TypedReply<S>, Outcome> {
        match self {
            Self::Shape(WholeOr::Whole(Whole(outcome)), _) => Err(outcome),
            Self::Shape(WholeOr::Items(items), writer) => Ok(TypedReply::Shape(items, writer)),
            Self::Failed(error) => Err(Outcome::Failed(error)),
        }
    }
}
impl<S: Stream> TypedReply<WholeOr<Streaming<S>>> {
    /// Returns the outcome of a value, or sends every item.
    pub async fn deliver(self, buffer: &EventBuffer) -> Outcome {
        match self.split() {
            Ok(items) => items.deliver(buffer).await,
            Err(outcome) => outcome,
        }
    }
}
impl<I: Iterator> TypedReply<WholeOr<Iterating<I>>> {
    /// Returns the outcome of a value, or sends every item.
    pub async fn deliver(self, buffer: &EventBuffer) -> Outcome {
        match self.split() {
            Ok(items) => items.deliver(buffer).await,
            Err(outcome) => outcome,
        }
    }
}
