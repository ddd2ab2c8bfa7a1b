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

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt::Display;
use std::future::Future;
use std::marker::PhantomData;

use futures_core::Stream;
use serde::Serialize;

use crate::body::Response;
use crate::error::{BoxError, Error};
use crate::outlet::{Flow, Outlet, Place};
use crate::reply::{Outcome, send_iterator, send_stream};

/// The traits, for method calls; no name of a type of ours gets in the way of an author's.
pub mod prelude {
    pub use super::{
        BoxedErrorProbe as _, DisplayProbe as _, ErrorProbe as _, FutureProbe as _,
        InfallibleProbe as _, ItemProbe as _, IteratorProbe as _, PlainItemProbe as _,
        PlainProbe as _, ReplyProbe as _, ResponseProbe as _, ResultProbe as _, StreamProbe as _,
    };
}

/// A type to be asked about.
pub struct Probe<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<T> Probe<T> {
    fn new() -> Self {
        Self(PhantomData)
    }

    /// Asks about a value's type.
    pub fn of(_: &T) -> Self {
        Self::new()
    }
}

/// Asks about the error type of a `Result`.
pub fn error_of<T, E>(_: &Result<T, E>) -> Probe<E> {
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
    fn future(&self) -> IsFuture {
        IsFuture
    }
}

impl<F: Future> FutureProbe for &Probe<F> {}

/// The other case of [`FutureProbe`].
pub trait PlainProbe {
    /// What to do with the value.
    fn future(&self) -> IsPlain {
        IsPlain
    }
}

impl<T> PlainProbe for Probe<T> {}

/// A synchronous function returned a future.
pub struct IsFuture;

/// Anything else.
pub struct IsPlain;

impl IsFuture {
    /// Awaits the future where futures belong: on the async workers.
    pub async fn resolve<F: Future>(self, future: F, outlet: &Outlet) -> F::Output {
        outlet.move_to(Place::Worker).await;
        future.await
    }
}

impl IsPlain {
    /// There is nothing to wait for.
    pub fn resolve<T>(self, value: T, _: &Outlet) -> std::future::Ready<T> {
        std::future::ready(value)
    }
}

// 2. A result?

/// Probes for a `Result`.
pub trait ResultProbe {
    /// What to do with the value.
    fn result(&self) -> IsResult {
        IsResult
    }
}

impl<T, E> ResultProbe for &Probe<Result<T, E>> {}

/// The other case of [`ResultProbe`].
pub trait InfallibleProbe {
    /// What to do with the value.
    fn result(&self) -> IsInfallible {
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
    pub fn split<T, E>(self, result: Result<T, E>) -> Result<T, E> {
        result
    }
}

impl IsInfallible {
    /// The value as a success.
    pub fn split<T>(self, value: T) -> Result<T, Infallible> {
        Ok(value)
    }
}

/// Probes for errors that can be boxed: `std` errors, `String`, `anyhow::Error`, `ppio::Error`.
pub trait ErrorProbe {
    /// How the error is converted.
    fn error(&self) -> IsBoxable {
        IsBoxable
    }
}

impl<E: Into<BoxError>> ErrorProbe for &&Probe<E> {}

/// Probes for `Box<dyn Error>`, which cannot cross threads but has a chain.
pub trait BoxedErrorProbe {
    /// How the error is converted.
    fn error(&self) -> IsBoxed {
        IsBoxed
    }
}

impl BoxedErrorProbe for &Probe<Box<dyn StdError>> {}

/// The last case of [`ErrorProbe`]: whatever can be displayed.
pub trait DisplayProbe {
    /// How the error is converted.
    fn error(&self) -> IsDisplay {
        IsDisplay
    }
}

impl<E> DisplayProbe for Probe<E> {}

/// An error that keeps its chain.
#[derive(Clone, Copy)]
pub struct IsBoxable;

/// An error whose chain is kept as text.
#[derive(Clone, Copy)]
pub struct IsBoxed;

/// An error that is only a text.
#[derive(Clone, Copy)]
pub struct IsDisplay;

/// Makes an author's error ours.
#[diagnostic::on_unimplemented(
    message = "an agent cannot fail with `{E}`",
    label = "this error cannot be shown to the caller",
    note = "help: implement `std::fmt::Display` for it (`#[derive(thiserror::Error)]` does), or use `ppio::Error`"
)]
pub trait ConvertError<E> {
    /// Converts one error.
    fn convert(self, error: E) -> Error;
}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> ConvertError<E> for IsBoxable {
    fn convert(self, error: E) -> Error {
        Error::from_author(type_name::<E>(), error.into())
    }
}

impl ConvertError<Box<dyn StdError>> for IsBoxed {
    fn convert(self, error: Box<dyn StdError>) -> Error {
        let chain = crate::error::Chain(error.as_ref()).to_string();
        Error::internal(error.to_string()).with_source(chain)
    }
}

#[diagnostic::do_not_recommend]
impl<E: Display> ConvertError<E> for IsDisplay {
    fn convert(self, error: E) -> Error {
        Error::internal(error.to_string()).with_type(type_name::<E>())
    }
}

/// The outcome of a function that returned an error.
pub fn fail<E, K: ConvertError<E>>(kind: K, error: E) -> Outcome {
    Outcome::Failed(kind.convert(error))
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
    fn reply(&self) -> IsResponse {
        IsResponse
    }
}

impl ResponseProbe for &&&Probe<Response> {}

/// Probes for a stream.
pub trait StreamProbe {
    /// What to do with the value.
    fn reply(&self) -> IsStream {
        IsStream
    }
}

impl<S: Stream> StreamProbe for &&Probe<S> {}

/// Probes for an iterator.
pub trait IteratorProbe {
    /// What to do with the value.
    fn reply(&self) -> IsIterator {
        IsIterator
    }
}

impl<I: Iterator> IteratorProbe for &Probe<I> {}

/// The last case of [`ResponseProbe`]: a value.
pub trait ReplyProbe {
    /// What to do with the value.
    fn reply(&self) -> IsValue {
        IsValue
    }
}

impl<T> ReplyProbe for Probe<T> {}

/// A value that can be written as JSON.
#[diagnostic::on_unimplemented(
    message = "an agent cannot answer with `{Self}`",
    label = "this cannot be written as JSON",
    note = "help: add `#[derive(serde::Serialize)]` to it, or return a stream, an iterator or a `ppio::Response`"
)]
pub trait AgentValue {
    #[doc(hidden)]
    type Json: Serialize + ?Sized;
    #[doc(hidden)]
    fn json(&self) -> &Self::Json;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> AgentValue for T {
    type Json = T;

    fn json(&self) -> &T {
        self
    }
}

/// The marker of a response.
pub struct IsResponse;
/// The marker of a stream.
pub struct IsStream;
/// The marker of an iterator.
pub struct IsIterator;
/// The marker of a value.
pub struct IsValue;

/// A reply whose kind is known.
pub trait Shape {
    /// What it is made of; `()` for a reply in one piece.
    type Item;
}

/// A response.
pub struct Whole(Response);
/// A stream of items.
pub struct Streaming<S>(S);
/// An iterator of items.
pub struct Iterating<I>(I);
/// A value.
pub struct Value<T>(T);

impl Shape for Whole {
    type Item = ();
}
impl<S: Stream> Shape for Streaming<S> {
    type Item = S::Item;
}
impl<I: Iterator> Shape for Iterating<I> {
    type Item = I::Item;
}
impl<T> Shape for Value<T> {
    type Item = ();
}

impl IsResponse {
    /// Gives the reply its shape.
    pub fn shape(self, response: Response) -> Whole {
        Whole(response)
    }
}
impl IsStream {
    /// Gives the reply its shape.
    pub fn shape<S: Stream>(self, stream: S) -> Streaming<S> {
        Streaming(stream)
    }
}
impl IsIterator {
    /// Gives the reply its shape.
    pub fn shape<I: Iterator>(self, iterator: I) -> Iterating<I> {
        Iterating(iterator)
    }
}
impl IsValue {
    /// Gives the reply its shape.
    pub fn shape<T: AgentValue>(self, value: T) -> Value<T> {
        Value(value)
    }
}

impl Whole {
    /// Passes the response through untouched.
    pub fn deliver<W>(self, _: W, _: &Outlet) -> std::future::Ready<Outcome> {
        std::future::ready(Outcome::Response(Box::new(self.0)))
    }
}
impl<S: Stream> Streaming<S> {
    /// Sends every item.
    pub async fn deliver<W: WriteItem<S::Item>>(self, writer: W, outlet: &Outlet) -> Outcome {
        send_stream(self.0, writer, outlet).await
    }
}
impl<I: Iterator> Iterating<I> {
    /// Sends every item.
    pub async fn deliver<W: WriteItem<I::Item>>(self, writer: W, outlet: &Outlet) -> Outcome {
        send_iterator(self.0, writer, outlet).await
    }
}
impl<T: AgentValue> Value<T> {
    /// Writes the value.
    pub fn deliver<W>(self, _: W, outlet: &Outlet) -> std::future::Ready<Outcome> {
        std::future::ready(Outcome::value(self.0.json(), outlet))
    }
}

// 4. What kind of items?

/// Probes for items that are `Result`s.
pub trait ItemProbe {
    /// The type of the items' errors.
    type Error;
    /// What to do with an item.
    fn item(&self) -> ResultItem {
        ResultItem
    }
    /// Asks about the items' errors.
    fn item_error(&self) -> Probe<Self::Error> {
        Probe::new()
    }
}

impl<T, E> ItemProbe for &Probe<Result<T, E>> {
    type Error = E;
}

/// The other case of [`ItemProbe`].
pub trait PlainItemProbe {
    /// What to do with an item.
    fn item(&self) -> PlainItem {
        PlainItem
    }
    /// Plain items have no errors.
    fn item_error(&self) -> Probe<Infallible> {
        Probe::new()
    }
}

impl<T> PlainItemProbe for Probe<T> {}

/// Items are values.
#[derive(Clone, Copy)]
pub struct PlainItem;
/// Items are `Result`s of values.
#[derive(Clone, Copy)]
pub struct ResultItem;

/// Writes items of a known kind, with errors of a known kind.
pub struct ItemWriter<I, E> {
    _item: I,
    error: E,
}

impl<I, E> ItemWriter<I, E> {
    /// Joins what the probes found.
    pub fn new(item: I, error: E) -> Self {
        Self { _item: item, error }
    }
}

/// Writes one item to the outlet.
#[diagnostic::on_unimplemented(
    message = "an agent cannot send `{I}` as an item",
    label = "these items cannot be written as JSON",
    note = "help: add `#[derive(serde::Serialize)]` to the item type"
)]
pub trait WriteItem<I> {
    #[doc(hidden)]
    #[expect(
        private_interfaces,
        reason = "the outlet's flow is for the runtime alone"
    )]
    fn write(&self, item: I, outlet: &Outlet) -> Result<Flow, Error>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize, E> WriteItem<T> for ItemWriter<PlainItem, E> {
    #[expect(private_interfaces, reason = "see the trait")]
    fn write(&self, item: T, outlet: &Outlet) -> Result<Flow, Error> {
        outlet.push(&item)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize, E, K: ConvertError<E> + Copy> WriteItem<Result<T, E>>
    for ItemWriter<ResultItem, K>
{
    #[expect(private_interfaces, reason = "see the trait")]
    fn write(&self, item: Result<T, E>, outlet: &Outlet) -> Result<Flow, Error> {
        outlet.push(&item.map_err(|error| self.error.convert(error))?)
    }
}
