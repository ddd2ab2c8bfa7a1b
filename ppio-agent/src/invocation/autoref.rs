//! Finds out by type what a user function returned.
//!
//! The expansion of `#[entrypoint]` sees tokens and no types: `type Answer = Result<Chunks, Oops>`
//! and `impl Iterator` look like any other type. But it can write method calls whose resolution
//! depends on the type ([autoref specialization]). For a value of type `T` it calls
//! `(&&TypeTag::of(&value)).reply_kind()`. `reply_kind` is implemented for `&TypeTag<T>` where `T:
//! Iterator` and for `TypeTag<T>` without a condition, and method resolution takes the first
//! implementation that applies, beginning with the most references. Each kind is a unit struct
//! whose methods handle the value.
//!
//! A trait with several blanket implementations cannot do this: `Result<Value, String>` implements
//! `Serialize`, and a range implements both `Iterator` and `Serialize`.
//!
//! The steps, in the order of the expansion:
//! 1. [`FutureKind`]: the future that a plain `fn` may return is awaited.
//! 2. [`ResultKind`]: a `Result` is split, and [`BoxedErrorKind`] finds the conversion of its
//!    error.
//! 3. [`ResponseKind`]: a response, a [`Reply`], a stream, an iterator, or else a value.
//! 4. [`ResultItemKind`]: items may be `Result`s as well.
//!
//! All but the first happen in one closure without an await, so a value and an error need not be
//! `Send`. The bounds are on the methods of the kinds, so that an unsuitable type is one error of
//! `rustc`, at the returned type, with a message of this crate. Values travel in tuples of one, so
//! that the expansion can give `value.0` the span from the type's first token to its last.
//!
//! [autoref specialization]: https://github.com/dtolnay/case-studies/blob/master/autoref-specialization/README.md

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt::Display;
use std::future::{Future, Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;

use futures_core::Stream;
use serde::Serialize;

use super::event_buffer::{EventBuffer, RunOn};
use super::reply::{ItemWriter, Outcome, Reply, send_iterator, send_stream};
use crate::exchange::body::Response;
use crate::exchange::error::{Error, type_name};

/// The traits, for method calls. They are imported without names, which cannot clash with the
/// user's.
pub mod prelude {
    pub use super::{
        BoxedErrorKind as _, DisplayKind as _, FutureKind as _, IteratorKind as _,
        NotFutureKind as _, NotResultKind as _, PlainItemKind as _, ReplyWithIteratorKind as _,
        ReplyWithStreamKind as _, ReplyWithoutItemsKind as _, ResponseKind as _,
        ResultItemKind as _, ResultKind as _, StdErrorKind as _, StreamKind as _, ValueKind as _,
    };
}

/// Stands for a type whose kind is looked for.
pub struct TypeTag<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<T> TypeTag<T> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }

    /// Stands for the type of a value.
    pub fn of(_: &T) -> Self {
        Self::new()
    }
}

/// Stands for the error type of a split result.
pub fn error_of<T, E>(_: &Split<T, E>) -> TypeTag<E> {
    TypeTag::new()
}

/// Stands for the items of a reply.
pub fn item_of<S: Shape>(_: &S) -> TypeTag<S::Item> {
    TypeTag::new()
}

// 1. A future?

/// Finds futures.
pub trait FutureKind {
    /// How the value is handled.
    fn future_kind(&self) -> IsFuture {
        IsFuture
    }
}

impl<F: Future> FutureKind for &TypeTag<F> {}

/// Takes all types that are not futures.
pub trait NotFutureKind {
    /// How the value is handled.
    fn future_kind(&self) -> IsNotFuture {
        IsNotFuture
    }
}

impl<T> NotFutureKind for TypeTag<T> {}

/// A future.
pub struct IsFuture;

/// Anything else.
pub struct IsNotFuture;

/// A future that a user function may return.
#[diagnostic::on_unimplemented(
    message = "an entrypoint cannot return the future `{Self}`, which is not `Send`",
    label = "cannot be sent between threads",
    note = "help: write `Arc` instead of `Rc` in the future; write a boxed future as `Pin<Box<dyn Future<Output = ..> + Send>>`"
)]
pub trait AgentFuture: Send {}

#[diagnostic::do_not_recommend]
impl<F: Send> AgentFuture for F {}

impl IsFuture {
    /// Requires that the future can be awaited.
    pub fn check<F: AgentFuture>(&self, _: &F) {}

    /// Awaits the future on the async workers and passes its output on.
    pub async fn then<F: Future, R>(
        self,
        future: F,
        buffer: &EventBuffer,
        next: impl FnOnce((F::Output,)) -> R,
    ) -> R {
        buffer.continue_on(RunOn::Async).await;
        next((future.await,))
    }
}

impl IsNotFuture {
    /// Requires nothing.
    pub fn check<T>(&self, _: &T) {}

    /// Passes the value on.
    pub fn then<T, R>(self, value: T, _: &EventBuffer, next: impl FnOnce((T,)) -> R) -> Ready<R> {
        ready(next((value,)))
    }
}

// 2. A result?

/// A success or an error.
pub type Split<T, E> = Result<(T,), (E,)>;

/// Finds `Result`s.
pub trait ResultKind {
    /// How the value is handled.
    fn result_kind(&self) -> IsResult {
        IsResult
    }
}

impl<T, E> ResultKind for &TypeTag<Result<T, E>> {}

/// Takes all types that are not `Result`s.
pub trait NotResultKind {
    /// How the value is handled.
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

/// Finds boxed errors: `anyhow::Error`, `eyre::Report`, `Box<dyn Error>`.
pub trait BoxedErrorKind {
    /// How the error is converted.
    fn error_kind(&self) -> IsBoxedError {
        IsBoxedError
    }
}

impl<E: Deref<Target: DynError>> BoxedErrorKind for &&TypeTag<E> {}

/// Finds other types that implement `std::error::Error`.
pub trait StdErrorKind {
    /// How the error is converted.
    fn error_kind(&self) -> IsStdError {
        IsStdError
    }
}

impl<E: StdError + 'static> StdErrorKind for &TypeTag<E> {}

/// Takes the remaining errors.
pub trait DisplayKind {
    /// How the error is converted.
    fn error_kind(&self) -> IsDisplay {
        IsDisplay
    }
}

impl<E> DisplayKind for TypeTag<E> {}

/// An error behind a pointer.
pub struct IsBoxedError;

/// An error with sources.
pub struct IsStdError;

/// An error that is only a text.
pub struct IsDisplay;

/// The error types that a pointer can lead to.
pub trait DynError {
    /// The error without its `Send` and `Sync`.
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

/// Converts the error of a user function.
#[diagnostic::on_unimplemented(
    message = "an entrypoint cannot return the error `{E}`",
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

// 3. What kind of reply?

/// Finds responses.
pub trait ResponseKind {
    /// How the value is handled.
    fn reply_kind(&self) -> IsResponse {
        IsResponse
    }
}

impl ResponseKind for &&&&TypeTag<Response> {}

/// Finds [`Reply`]s of a value or a stream.
pub trait ReplyWithStreamKind {
    /// How the value is handled.
    fn reply_kind(&self) -> IsReplyWithStream {
        IsReplyWithStream
    }
}

impl<T, S: Stream> ReplyWithStreamKind for &&&TypeTag<Reply<T, S>> {}

/// Finds [`Reply`]s of a value or an iterator.
pub trait ReplyWithIteratorKind {
    /// How the value is handled.
    fn reply_kind(&self) -> IsReplyWithIterator {
        IsReplyWithIterator
    }
}

impl<T, I: Iterator> ReplyWithIteratorKind for &&TypeTag<Reply<T, I>> {}

/// Takes the remaining [`Reply`]s, whose second type is wrong.
pub trait ReplyWithoutItemsKind {
    /// How the value is handled.
    fn reply_kind(&self) -> IsReplyWithoutItems {
        IsReplyWithoutItems
    }
}

impl<T, S> ReplyWithoutItemsKind for &TypeTag<Reply<T, S>> {}

/// Finds streams.
pub trait StreamKind {
    /// How the value is handled.
    fn reply_kind(&self) -> IsStream {
        IsStream
    }
}

impl<S: Stream> StreamKind for &&TypeTag<S> {}

/// Finds iterators.
pub trait IteratorKind {
    /// How the value is handled.
    fn reply_kind(&self) -> IsIterator {
        IsIterator
    }
}

impl<I: Iterator> IteratorKind for &TypeTag<I> {}

/// Takes the remaining types, which have to be values.
pub trait ValueKind {
    /// How the value is handled.
    fn reply_kind(&self) -> IsValue {
        IsValue
    }
}

impl<T> ValueKind for TypeTag<T> {}

/// A response.
pub struct IsResponse;
/// A value or a stream.
pub struct IsReplyWithStream;
/// A value or an iterator.
pub struct IsReplyWithIterator;
/// A value or something that has no items.
pub struct IsReplyWithoutItems;
/// A stream.
pub struct IsStream;
/// An iterator.
pub struct IsIterator;
/// A value.
pub struct IsValue;

/// A value that can be written as JSON.
#[diagnostic::on_unimplemented(
    message = "an entrypoint cannot return `{Self}`",
    label = "does not implement `serde::Serialize`",
    note = "help: add `#[derive(serde::Serialize)]` to the type, or return a stream, an iterator or a `ppio::Response`"
)]
pub trait AgentValue: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> AgentValue for T {}

/// A stream or iterator that can move between threads.
#[diagnostic::on_unimplemented(
    message = "an entrypoint cannot return the stream or iterator `{Self}`, which is not `Send`",
    label = "cannot be sent between threads",
    note = "help: write `Arc` instead of `Rc` in it; write a box as `Box<dyn Iterator<Item = ..> + Send>` or `Pin<Box<dyn Stream<Item = ..> + Send>>`"
)]
pub trait AgentItems: Send {}

#[diagnostic::do_not_recommend]
impl<T: Send> AgentItems for T {}

/// The second type of a [`Reply`], for the error about a type without items.
#[diagnostic::on_unimplemented(
    message = "an entrypoint cannot reply with the stream `{Self}`",
    label = "neither a stream nor an iterator",
    note = "help: write a type that implements `Stream` or `Iterator` as the second one of `ppio::Reply`"
)]
pub trait ReplyItems {}

impl IsResponse {
    /// Replies with the response as it is.
    pub fn shape(self, response: Response, _: &EventBuffer) -> Whole {
        Whole(Outcome::Response(Box::new(response)))
    }
}
impl IsReplyWithStream {
    /// Replies with the value or the items of the stream.
    pub fn shape<T: AgentValue, S: Stream + AgentItems>(
        self,
        reply: Reply<T, S>,
        buffer: &EventBuffer,
    ) -> WholeOr<Streaming<S>> {
        WholeOr::new(reply, buffer, Streaming)
    }
}
impl IsReplyWithIterator {
    /// Replies with the value or the items of the iterator.
    pub fn shape<T: AgentValue, I: Iterator + AgentItems>(
        self,
        reply: Reply<T, I>,
        buffer: &EventBuffer,
    ) -> WholeOr<Iterating<I>> {
        WholeOr::new(reply, buffer, Iterating)
    }
}
impl IsReplyWithoutItems {
    /// Cannot be called: no type implements the trait.
    pub fn shape<T, S: ReplyItems>(self, _: Reply<T, S>, buffer: &EventBuffer) -> Whole {
        IsValue.shape((), buffer)
    }
}
impl IsStream {
    /// Replies with the items of the stream.
    pub fn shape<S: Stream + AgentItems>(self, stream: S, _: &EventBuffer) -> Streaming<S> {
        Streaming(stream)
    }
}
impl IsIterator {
    /// Replies with the items of the iterator.
    pub fn shape<I: Iterator + AgentItems>(self, iterator: I, _: &EventBuffer) -> Iterating<I> {
        Iterating(iterator)
    }
}
impl IsValue {
    /// Replies with the value as JSON.
    pub fn shape<T: AgentValue>(self, value: T, buffer: &EventBuffer) -> Whole {
        Whole(Outcome::value(&value, buffer))
    }
}

/// A reply whose kind is known.
pub trait Shape: Sized {
    /// Its items; `()` for a reply in one piece.
    type Item;
}

/// Combines a reply with the function that writes its items.
pub fn reply<S: Shape>(shape: S, writer: ItemWriter<S::Item>) -> TypedReply<S> {
    TypedReply::Shape(shape, writer)
}

/// A reply in one piece.
pub struct Whole(Outcome);
/// The items of a stream.
pub struct Streaming<S>(S);
/// The items of an iterator.
pub struct Iterating<I>(I);

/// A reply in one piece, or items.
pub enum WholeOr<S> {
    /// In one piece.
    Whole(Whole),
    /// In items.
    Items(S),
}

impl<S> WholeOr<S> {
    fn new<T: AgentValue, I>(
        reply: Reply<T, I>,
        buffer: &EventBuffer,
        items: impl FnOnce(I) -> S,
    ) -> Self {
        match reply {
            Reply::Value(value) => Self::Whole(IsValue.shape(value, buffer)),
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

/// The reply of a function that returned an error.
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
    /// Separates a reply in one piece from items.
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

// 4. What kind of items?

/// Finds items that are `Result`s.
pub trait ResultItemKind {
    /// The type of the items' errors.
    type Error;
    /// How an item is written.
    fn item_kind(&self) -> ResultItem {
        ResultItem
    }
    /// Stands for the items' errors.
    fn item_error(&self) -> TypeTag<Self::Error> {
        TypeTag::new()
    }
}

impl<T, E> ResultItemKind for &TypeTag<Result<T, E>> {
    type Error = E;
}

/// Takes all items that are not `Result`s.
pub trait PlainItemKind {
    /// How an item is written.
    fn item_kind(&self) -> PlainItem {
        PlainItem
    }
    /// Plain items have no errors.
    fn item_error(&self) -> TypeTag<Infallible> {
        TypeTag::new()
    }
}

impl<T> PlainItemKind for TypeTag<T> {}

/// Items are values.
pub struct PlainItem;
/// Items are `Result`s of values.
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
    /// Returns the function that writes such items.
    pub fn writer<T: AgentItem, K>(self, _: TypeTag<T>, _: K) -> ItemWriter<T> {
        ItemWriter::new(|item, buffer| buffer.push(&item))
    }
}

impl ResultItem {
    /// Returns the function that writes such items and converts their errors.
    pub fn writer<T: AgentItem, E, K: ConvertError<E>>(
        self,
        _: TypeTag<Result<T, E>>,
        _: K,
    ) -> ItemWriter<Result<T, E>> {
        ItemWriter::new(|item: Result<T, E>, buffer| buffer.push(&item.map_err(K::convert)?))
    }
}
