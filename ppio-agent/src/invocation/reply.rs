//! The replies of a handler: a value, a response, a stream or an iterator.

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::pin;
use std::task::{Poll, ready};

use futures_core::Stream;
use ppio_agent_protocol::InvocationResponse;
use serde::Serialize;
use serde_json::Value;

use super::event_buffer::{EventBuffer, RunOn};
use crate::exchange::agent_envelope::AgentEnvelope;
use crate::exchange::body::Response;
use crate::exchange::error::{BoxError, Error};
use crate::exchange::written_value::WrittenValue;

/// The outcome of a handler.
pub enum Outcome {
    /// A value, written as the beginning of the response body.
    Value(Vec<u8>),
    /// An envelope that the handler filled.
    Envelope(Box<AgentEnvelope>),
    /// A response that the handler returned.
    Response(Box<Response>),
    /// An error, before the response or within a stream.
    Failed(Error),
    /// The end of a stream, whose items are all in the buffer.
    StreamEnded,
}

impl Outcome {
    pub(crate) fn value<T: Serialize + ?Sized>(value: &T, buffer: &EventBuffer) -> Self {
        match WrittenValue::of(value, buffer.format(), buffer.trace()) {
            Ok(WrittenValue::Value(body)) => Self::Value(body),
            Ok(WrittenValue::Envelope(envelope)) => Self::Envelope(envelope),
            Err(error) => Self::Failed(error),
        }
    }
}

/// Writes items of one type into the buffer.
///
/// This is a function pointer, so that only its construction has bounds on the items: an unsuitable
/// type is reported once, at the construction.
pub struct ItemWriter<I>(fn(I, &EventBuffer) -> Result<ControlFlow<()>, Error>);

impl<I> ItemWriter<I> {
    pub(crate) fn new(write: fn(I, &EventBuffer) -> Result<ControlFlow<()>, Error>) -> Self {
        Self(write)
    }

    fn write(&self, item: I, buffer: &EventBuffer) -> Result<ControlFlow<()>, Error> {
        (self.0)(item, buffer)
    }
}

/// Sends the items of a stream, as fast as the client reads them.
pub(crate) async fn send_stream<S: Stream>(
    stream: S,
    writer: ItemWriter<S::Item>,
    buffer: &EventBuffer,
) -> Outcome {
    buffer.continue_on(RunOn::Async).await;
    buffer.start_stream();
    let mut stream = pin!(stream);
    poll_fn(|cx| {
        loop {
            match ready!(stream.as_mut().poll_next(cx)) {
                None => return Poll::Ready(Outcome::StreamEnded),
                Some(item) => match writer.write(item, buffer) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => return Poll::Pending,
                    Err(error) => return Poll::Ready(Outcome::Failed(error)),
                },
            }
        }
    })
    .await
}

/// Sends the items of an iterator, from blocking threads.
pub(crate) async fn send_iterator<I: Iterator>(
    mut iterator: I,
    writer: ItemWriter<I::Item>,
    buffer: &EventBuffer,
) -> Outcome {
    buffer.continue_on(RunOn::Blocking).await;
    buffer.start_stream();
    loop {
        // The item is dropped before the await, so it need not be `Send`.
        let written = match iterator.next() {
            None => return Outcome::StreamEnded,
            Some(item) => writer.write(item, buffer),
        };
        match written {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => buffer.yield_now().await,
            Err(error) => return Outcome::Failed(error),
        }
    }
}

/// A reply with a value of any type that implements `Serialize`, for a closure given to
/// [`AgentRuntimeAppBuilder::entrypoint`](crate::AgentRuntimeAppBuilder::entrypoint).
///
/// Functions with `#[ppio::entrypoint]` return such values directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// A reply with an event stream of the items of a `Stream`, for a closure. The items are `Result`s;
/// an `Err` ends the stream with an error item.
#[derive(Debug, Clone, Copy)]
pub struct Sse<S>(pub S);

/// A reply with an event stream of the items of an `Iterator`, for a closure. The items are
/// `Result`s; an `Err` ends the stream with an error item. The iterator runs on blocking threads.
#[derive(Debug, Clone, Copy)]
pub struct SseIter<I>(pub I);

/// A reply that is either a value or a stream, for a function that chooses for each request.
///
/// The value is any type that implements `Serialize`. The stream is a `Stream` or an `Iterator`, as
/// in the return type of an entrypoint. For a closure given to
/// [`AgentRuntimeAppBuilder::entrypoint`](crate::AgentRuntimeAppBuilder::entrypoint), the stream is
/// a `Stream` of `Result`s or an [`SseIter`].
///
/// ```no_run
/// use futures_util::stream::{self, Stream, StreamExt as _};
/// use ppio::{InvocationRequest, Reply, RequestContext};
///
/// #[ppio::entrypoint]
/// async fn agent(
///     request: InvocationRequest,
///     context: RequestContext,
/// ) -> Reply<String, impl Stream<Item = String>> {
///     let words = stream::iter(["once", " upon", " a", " time"].map(str::to_owned));
///     if context.stream_requested() {
///         Reply::Stream(words)
///     } else {
///         Reply::Value(words.collect().await)
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<T, S> {
    /// One value, as JSON.
    Value(T),
    /// An event stream of items.
    Stream(S),
}

#[cfg(feature = "schema")]
impl<T, S> ppio_agent_schema::EitherReply for Reply<T, S> {
    type Value = T;
    type Items = S;
}

/// A type that a closure may return: a common type such as `String` or [`Value`], an
/// [`InvocationResponse`], [`Json`], [`Sse`], [`SseIter`], a [`Reply`], a [`Response`], or any of
/// them in a `Result`.
///
/// This trait is not implemented for every `T: Serialize`: `Result<Value, String>` implements
/// `Serialize` as well, and a trait cannot prefer one of two implementations. `#[ppio::entrypoint]`
/// does not use this trait and takes values, streams and iterators as they are.
#[diagnostic::on_unimplemented(
    message = "an entrypoint cannot return `{Self}`",
    label = "not a reply",
    note = "help: wrap a value in `ppio::Json(..)`, a stream of `Result`s in `ppio::Sse(..)`, an iterator of `Result`s in `ppio::SseIter(..)`",
    note = "help: make the items of a stream `Result`s with `.map(Ok::<_, ppio::Error>)`"
)]
pub trait IntoReply: Sized {
    /// Writes the reply.
    #[doc(hidden)]
    fn deliver(self, buffer: EventBuffer) -> impl Future<Output = Outcome> + Send;
}

impl<T: Serialize + Send> IntoReply for Json<T> {
    async fn deliver(self, buffer: EventBuffer) -> Outcome {
        Outcome::value(&self.0, &buffer)
    }
}

impl IntoReply for Response {
    async fn deliver(self, _: EventBuffer) -> Outcome {
        Outcome::Response(Box::new(self))
    }
}

impl<S, T, E> IntoReply for Sse<S>
where
    S: Stream<Item = Result<T, E>> + Send,
    T: Serialize,
    E: Into<BoxError>,
{
    async fn deliver(self, buffer: EventBuffer) -> Outcome {
        send_stream(self.0, result_writer(), &buffer).await
    }
}

impl<I, T, E> IntoReply for SseIter<I>
where
    I: Iterator<Item = Result<T, E>> + Send,
    T: Serialize,
    E: Into<BoxError>,
{
    async fn deliver(self, buffer: EventBuffer) -> Outcome {
        send_iterator(self.0, result_writer(), &buffer).await
    }
}

impl<V, S, T, E> IntoReply for Reply<V, S>
where
    V: Serialize + Send,
    S: Stream<Item = Result<T, E>> + Send,
    T: Serialize,
    E: Into<BoxError>,
{
    async fn deliver(self, buffer: EventBuffer) -> Outcome {
        match self {
            Self::Value(value) => Json(value).deliver(buffer).await,
            Self::Stream(stream) => Sse(stream).deliver(buffer).await,
        }
    }
}

impl<V, I, T, E> IntoReply for Reply<V, SseIter<I>>
where
    V: Serialize + Send,
    I: Iterator<Item = Result<T, E>> + Send,
    T: Serialize,
    E: Into<BoxError>,
{
    async fn deliver(self, buffer: EventBuffer) -> Outcome {
        match self {
            Self::Value(value) => Json(value).deliver(buffer).await,
            Self::Stream(items) => items.deliver(buffer).await,
        }
    }
}

impl<R, E> IntoReply for Result<R, E>
where
    R: IntoReply + Send,
    E: Into<BoxError> + Send,
{
    async fn deliver(self, buffer: EventBuffer) -> Outcome {
        match self {
            Ok(reply) => reply.deliver(buffer).await,
            Err(error) => Outcome::Failed(Error::from_boxable(error)),
        }
    }
}

fn result_writer<T, E>() -> ItemWriter<Result<T, E>>
where
    T: Serialize,
    E: Into<BoxError>,
{
    ItemWriter::new(|item: Result<T, E>, buffer| buffer.push(&item.map_err(Error::from_boxable)?))
}

macro_rules! value_replies {
    ($([$($generics:tt)*] $type:ty),* $(,)?) => {$(
        impl<$($generics)*> IntoReply for $type {
            async fn deliver(self, buffer: EventBuffer) -> Outcome {
                Outcome::value(&self, &buffer)
            }
        }
    )*};
}

value_replies!(
    [] (), [] bool, [] char, [] String, [] &'static str, [] Value,
    [] i8, [] i16, [] i32, [] i64, [] i128, [] isize,
    [] u8, [] u16, [] u32, [] u64, [] u128, [] usize, [] f32, [] f64,
    [T: Serialize + Send] Option<T>,
    [T: Serialize + Send] Vec<T>,
    [T: Serialize + Send] InvocationResponse<T>,
    [V: Serialize + Send] BTreeMap<String, V>,
    [V: Serialize + Send, H: Send] HashMap<String, V, H>,
);
