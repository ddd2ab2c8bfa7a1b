//! Finds out what an author's function returned, by type and not by spelling.
//!
//! The expansion of `#[entrypoint]` cannot ask `rustc` for a type: `type Answer = Result<Chunks,
//! Oops>` and `impl Iterator` look like any other tokens. But it can write method calls whose
//! resolution depends on the type. For a value of type `T` it calls `(&&Probe::of(&value)).kind()`;
//! `kind` is implemented for `&Probe<T>` where `T: Stream` and for plain `Probe<T>` without a
//! condition, and method resolution takes the first that holds, outermost reference first. Each
//! `kind` returns a marker that knows what to do with the value.
//!
//! A trait with several blanket implementations could not do this: `Result<Value, String>` is
//! itself `Serialize`, and a range is both an iterator and serializable.
//!
//! The steps, in the order of the expansion:
//! 1. [`FutureProbe`]: a plain `fn` may return a future; then that is awaited.
//! 2. [`ResultProbe`]: a `Result` is split, [`ErrorProbe`] tells how its error becomes ours.
//! 3. [`ReplyProbe`]: a response, a stream, an iterator, or else a value.
//! 4. [`ItemProbe`]: items may be `Result`s as well.
//!
//! All but the first happen at once, in a closure: an answer that is only a value, and the error
//! that is sent instead, need not be `Send`. The bounds sit on the markers' methods, so that what
//! does not fit is one error of `rustc`, about the answer, in words of ours. Answers travel in
//! tuples of one so that the expansion can say where `answer.0` stands, from its first token to its
//! last.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt::Display;
use std::future::{Future, Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;

use futures_core::Stream;
use serde::Serialize;

use crate::exchange::body::Response;
use crate::exchange::error::{BoxError, Error};
use crate::invocation::event_buffer::{Flow, Outlet, Place};
use crate::invocation::reply::{Outcome, send_iterator, send_stream};

/// The traits, for method calls; no name of a type of ours gets in the way of an author's.
pub mod prelude {
    pub use super::{
        BoxedErrorProbe as _, DisplayProbe as _, ErrorProbe as _, FutureProbe as _,
        InfallibleProbe as _, ItemProbe as _, IteratorProbe as _, LocalErrorProbe as _,
        PlainItemProbe as _, PlainProbe as _, ReplyProbe as _, ReportProbe as _,
        ResponseProbe as _, ResultProbe as _, StreamProbe as _,
    };
}

/// A type to be asked about.
pub struct Probe<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<T> Probe<T> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }

    /// Asks about a value's type.
    pub fn of(_: &T) -> Self {
        Self::new()
    }
}

/// Asks about the error type of a split answer.
pub fn error_of<T, E>(_: &Split<T, E>) -> Probe<E> {
    Probe::new()
}

/// Asks about the items of a shape.
pub fn item_of<S: Shape>(_: &S) -> Probe<S::Item> {
    Probe::new()
}

// 1. A future?

/// Probes for a future.
pub trait FutureProbe {
    /// What to do with the value.
    fn probe_future(&self) -> IsFuture {
        IsFuture
    }
}

impl<F: Future> FutureProbe for &Probe<F> {}

/// The other case of [`FutureProbe`].
pub trait PlainProbe {
    /// What to do with the value.
    fn probe_future(&self) -> IsPlain {
        IsPlain
    }
}

impl<T> PlainProbe for Probe<T> {}

/// The function returned a future.
pub struct IsFuture;

/// Anything else.
pub struct IsPlain;

/// A future that an author's function returned.
#[diagnostic::on_unimplemented(
    message = "an entrypoint cannot return the future `{Self}`, which is not `Send`",
    label = "cannot be sent between threads",
    note = "help: write `Arc` instead of `Rc` in the future; write a boxed future as `Pin<Box<dyn Future<Output = ..> + Send>>`"
)]
pub trait AgentFuture: Send {}

#[diagnostic::do_not_recommend]
impl<F: Send> AgentFuture for F {}

impl IsFuture {
    /// Complains where the future cannot be awaited.
    pub fn check<F: AgentFuture>(&self, _: &F) {}

    /// Awaits the future where futures belong, on the async workers, and goes on with its output.
    pub async fn then<F: Future, R>(
        self,
        future: F,
        outlet: &Outlet,
        next: impl FnOnce((F::Output,)) -> R,
    ) -> R {
        outlet.move_to(Place::Worker).await;
        next((future.await,))
    }
}

impl IsPlain {
    /// There is nothing to complain about.
    pub fn check<T>(&self, _: &T) {}

    /// Goes on at once.
    pub fn then<T, R>(self, value: T, _: &Outlet, next: impl FnOnce((T,)) -> R) -> Ready<R> {
        ready(next((value,)))
    }
}

// 2. A result?

/// An answer or an error.
pub type Split<T, E> = Result<(T,), (E,)>;

/// Probes for a `Result`.
pub trait ResultProbe {
    /// What to do with the value.
    fn probe_result(&self) -> IsResult {
        IsResult
    }
}

impl<T, E> ResultProbe for &Probe<Result<T, E>> {}

/// The other case of [`ResultProbe`].
pub trait InfallibleProbe {
    /// What to do with the value.
    fn probe_result(&self) -> IsInfallible {
        IsInfallible
    }
}

impl<T> InfallibleProbe for Probe<T> {}

/// The function can fail.
pub struct IsResult;

/// The function cannot fail.
pub struct IsInfallible;

impl IsResult {
    /// The result as it is.
    pub fn split<T, E>(self, result: Result<T, E>) -> Split<T, E> {
        match result {
            Ok(value) => Ok((value,)),
            Err(error) => Err((error,)),
        }
    }
}

impl IsInfallible {
    /// The value as a success.
    pub fn split<T>(self, value: T) -> Split<T, Infallible> {
        Ok((value,))
    }
}

/// Probes for errors around errors that show what is inside: `anyhow::Error`, `eyre::Report`.
pub trait ReportProbe {
    /// How the error is converted.
    fn probe_error(&self) -> IsReport {
        IsReport
    }
}

impl<E> ReportProbe for &&&&Probe<E> where
    E: Deref<Target = dyn StdError + Send + Sync> + Into<BoxError>
{
}

/// Probes for errors that can be boxed: `std` errors, `String`, `ppio::Error`.
pub trait ErrorProbe {
    /// How the error is converted.
    fn probe_error(&self) -> IsBoxable {
        IsBoxable
    }
}

impl<E: Into<BoxError>> ErrorProbe for &&&Probe<E> {}

/// Probes for errors in a box that cannot cross threads.
pub trait BoxedErrorProbe {
    /// How the error is converted.
    fn probe_error(&self) -> IsBoxed {
        IsBoxed
    }
}

impl BoxedErrorProbe for &&Probe<Box<dyn StdError>> {}
impl BoxedErrorProbe for &&Probe<Box<dyn StdError + Send>> {}

/// Probes for other errors that cannot cross threads.
pub trait LocalErrorProbe {
    /// How the error is converted.
    fn probe_error(&self) -> IsLocal {
        IsLocal
    }
}

impl<E: StdError + 'static> LocalErrorProbe for &Probe<E> {}

/// The last case of [`ErrorProbe`]: whatever can be displayed.
pub trait DisplayProbe {
    /// How the error is converted.
    fn probe_error(&self) -> IsDisplay {
        IsDisplay
    }
}

impl<E> DisplayProbe for Probe<E> {}

/// An error whose chain begins inside of it.
pub struct IsReport;

/// An error that keeps its chain.
pub struct IsBoxable;

/// A boxed error whose chain is kept as text.
pub struct IsBoxed;

/// An error whose chain is kept as text.
pub struct IsLocal;

/// An error that is only a text.
pub struct IsDisplay;

/// Makes an author's error ours.
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
impl<E> ConvertError<E> for IsReport
where
    E: Deref<Target = dyn StdError + Send + Sync> + Into<BoxError>,
{
    fn convert(error: E) -> Error {
        // As a box it hides what it began with.
        let told = Error::told_in(&*error);
        Error::from_report(type_name::<E>(), error.into(), told)
    }
}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> ConvertError<E> for IsBoxable {
    fn convert(error: E) -> Error {
        Error::from_author(type_name::<E>(), error.into())
    }
}

#[diagnostic::do_not_recommend]
impl ConvertError<Box<dyn StdError>> for IsBoxed {
    fn convert(error: Box<dyn StdError>) -> Error {
        match error.downcast::<Error>() {
            Ok(own) => *own,
            Err(error) => Error::from_local("AgentError", error.as_ref()),
        }
    }
}

#[diagnostic::do_not_recommend]
impl ConvertError<Box<dyn StdError + Send>> for IsBoxed {
    fn convert(error: Box<dyn StdError + Send>) -> Error {
        Self::convert(error as Box<dyn StdError>)
    }
}

#[diagnostic::do_not_recommend]
impl<E: StdError + 'static> ConvertError<E> for IsLocal {
    fn convert(error: E) -> Error {
        Error::from_local(type_name::<E>(), &error)
    }
}

#[diagnostic::do_not_recommend]
impl<E: Display> ConvertError<E> for IsDisplay {
    fn convert(error: E) -> Error {
        Error::internal(error.to_string()).with_type(type_name::<E>())
    }
}

/// The last segment of a type's path, or `AgentError` for types that name no particular error.
fn type_name<E>() -> &'static str {
    let path = std::any::type_name::<E>();
    let path = path.split('<').next().unwrap_or(path);
    match path.rsplit("::").next() {
        Some("" | "Error" | "String" | "str" | "&str" | "Box") | None => "AgentError",
        Some(name) => name,
    }
}

// 3. What kind of reply?

/// Probes for a response.
pub trait ResponseProbe {
    /// What to do with the value.
    fn probe_reply(&self) -> IsResponse {
        IsResponse
    }
}

impl ResponseProbe for &&&Probe<Response> {}

/// Probes for a stream.
pub trait StreamProbe {
    /// What to do with the value.
    fn probe_reply(&self) -> IsStream {
        IsStream
    }
}

impl<S: Stream> StreamProbe for &&Probe<S> {}

/// Probes for an iterator.
pub trait IteratorProbe {
    /// What to do with the value.
    fn probe_reply(&self) -> IsIterator {
        IsIterator
    }
}

impl<I: Iterator> IteratorProbe for &Probe<I> {}

/// The last case of [`ResponseProbe`]: a value.
pub trait ReplyProbe {
    /// What to do with the value.
    fn probe_reply(&self) -> IsValue {
        IsValue
    }
}

impl<T> ReplyProbe for Probe<T> {}

/// The marker of a response.
pub struct IsResponse;
/// The marker of a stream.
pub struct IsStream;
/// The marker of an iterator.
pub struct IsIterator;
/// The marker of a value.
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

/// Items that can be sent from any thread.
#[diagnostic::on_unimplemented(
    message = "an entrypoint cannot return the stream or iterator `{Self}`, which is not `Send`",
    label = "cannot be sent between threads",
    note = "help: write `Arc` instead of `Rc` in it; write a box as `Box<dyn Iterator<Item = ..> + Send>` or `Pin<Box<dyn Stream<Item = ..> + Send>>`"
)]
pub trait AgentItems: Send {}

#[diagnostic::do_not_recommend]
impl<T: Send> AgentItems for T {}

impl IsResponse {
    /// Passes the response through untouched.
    pub fn shape(self, response: Response, _: &Outlet) -> Whole {
        Whole(Outcome::Response(Box::new(response)))
    }
}
impl IsStream {
    /// Keeps the stream.
    pub fn shape<S: Stream + AgentItems>(self, stream: S, _: &Outlet) -> Streaming<S> {
        Streaming(stream)
    }
}
impl IsIterator {
    /// Keeps the iterator.
    pub fn shape<I: Iterator + AgentItems>(self, iterator: I, _: &Outlet) -> Iterating<I> {
        Iterating(iterator)
    }
}
impl IsValue {
    /// Writes the value.
    pub fn shape<T: AgentValue>(self, value: T, outlet: &Outlet) -> Whole {
        Whole(Outcome::value(&value, outlet))
    }
}

/// An answer whose kind is known.
pub trait Shape: Sized {
    /// What it is made of; `()` for an answer in one piece.
    type Item;
}

/// The answer with what writes its items.
pub fn reply<S: Shape>(shape: S, writer: ItemWriter<S::Item>) -> Reply<S> {
    Reply::Shape(shape, writer)
}

/// An answer in one piece.
pub struct Whole(Outcome);
/// A stream of items.
pub struct Streaming<S>(S);
/// An iterator of items.
pub struct Iterating<I>(I);

impl Shape for Whole {
    type Item = ();
}
impl<S: Stream> Shape for Streaming<S> {
    type Item = S::Item;
}
impl<I: Iterator> Shape for Iterating<I> {
    type Item = I::Item;
}

/// What the author's function came to.
pub enum Reply<S: Shape> {
    /// An answer, and what writes its items.
    Shape(S, ItemWriter<S::Item>),
    /// An error.
    Failed(Error),
}

/// The reply of a function that returned an error.
pub fn fail<E, K: ConvertError<E>, S: Shape>(_: K, error: E) -> Reply<S> {
    Reply::Failed(K::convert(error))
}

impl Reply<Whole> {
    /// There is nothing left to do.
    pub fn deliver(self, _: &Outlet) -> Ready<Outcome> {
        ready(match self {
            Self::Shape(Whole(outcome), _) => outcome,
            Self::Failed(error) => Outcome::Failed(error),
        })
    }
}
impl<S: Stream> Reply<Streaming<S>> {
    /// Sends every item.
    pub async fn deliver(self, outlet: &Outlet) -> Outcome {
        match self {
            Self::Shape(Streaming(stream), writer) => send_stream(stream, writer, outlet).await,
            Self::Failed(error) => Outcome::Failed(error),
        }
    }
}
impl<I: Iterator> Reply<Iterating<I>> {
    /// Sends every item.
    pub async fn deliver(self, outlet: &Outlet) -> Outcome {
        match self {
            Self::Shape(Iterating(iterator), writer) => {
                send_iterator(iterator, writer, outlet).await
            }
            Self::Failed(error) => Outcome::Failed(error),
        }
    }
}

// 4. What kind of items?

/// Probes for items that are `Result`s.
pub trait ItemProbe {
    /// The type of the items' errors.
    type Error;
    /// What to do with an item.
    fn probe_item(&self) -> ResultItem {
        ResultItem
    }
    /// Asks about the items' errors.
    fn probe_item_error(&self) -> Probe<Self::Error> {
        Probe::new()
    }
}

impl<T, E> ItemProbe for &Probe<Result<T, E>> {
    type Error = E;
}

/// The other case of [`ItemProbe`].
pub trait PlainItemProbe {
    /// What to do with an item.
    fn probe_item(&self) -> PlainItem {
        PlainItem
    }
    /// Plain items have no errors.
    fn probe_item_error(&self) -> Probe<Infallible> {
        Probe::new()
    }
}

impl<T> PlainItemProbe for Probe<T> {}

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

/// Writes items of one kind to the outlet.
///
/// A pointer, so that the type says nothing about what the items have to be: a mistake there is one
/// error, where the writer is made.
pub struct ItemWriter<I>(fn(I, &Outlet) -> Result<Flow, Error>);

impl<I> ItemWriter<I> {
    pub(crate) fn write(&self, item: I, outlet: &Outlet) -> Result<Flow, Error> {
        (self.0)(item, outlet)
    }
}

impl PlainItem {
    /// What writes such items.
    pub fn writer<T: AgentItem, K>(self, _: Probe<T>, _: K) -> ItemWriter<T> {
        ItemWriter(|item, outlet| outlet.push(&item))
    }
}

impl ResultItem {
    /// What writes such items, and converts their errors.
    pub fn writer<T: AgentItem, E, K: ConvertError<E>>(
        self,
        _: Probe<Result<T, E>>,
        _: K,
    ) -> ItemWriter<Result<T, E>> {
        ItemWriter(|item, outlet| outlet.push(&item.map_err(K::convert)?))
    }
}
