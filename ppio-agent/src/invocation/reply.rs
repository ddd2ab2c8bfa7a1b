//! The shapes of an answer: a value, a whole response, a stream, an iterator.

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, ready};

use futures_core::Stream;
use serde::Serialize;
use serde_json::Value;

use crate::exchange::body::Response;
use crate::exchange::error::{BoxError, Error};
use crate::exchange::json;
use crate::invocation::autoref::{ConvertError as _, IsBoxable, ItemWriter, Probe, ResultItem};
use crate::invocation::event_buffer::{Flow, Outlet, Place};

/// How a handler ended.
pub enum Outcome {
    /// A value, already the beginning of the response body.
    Value(Vec<u8>),
    /// A response of the author's own.
    Response(Box<Response>),
    /// An error, before or in the middle of the answer.
    Failed(Error),
    /// The end of a stream whose items all went through the outlet.
    StreamEnded,
}

impl Outcome {
    pub(crate) fn value<T: Serialize + ?Sized>(value: &T, outlet: &Outlet) -> Self {
        match json::begin(value, outlet.style()) {
            Ok(body) => Self::Value(body),
            Err(error) => Self::Failed(error),
        }
    }
}

/// Sends the items of a stream, as fast as the client takes them.
pub(crate) async fn send_stream<S: Stream>(
    stream: S,
    writer: ItemWriter<S::Item>,
    outlet: &Outlet,
) -> Outcome {
    outlet.move_to(Place::Worker).await;
    outlet.start_stream();
    let mut stream = pin!(stream);
    poll_fn(|cx| {
        loop {
            match ready!(stream.as_mut().poll_next(cx)) {
                None => return Poll::Ready(Outcome::StreamEnded),
                Some(item) => match writer.write(item, outlet) {
                    Ok(Flow::More) => {}
                    Ok(Flow::Yield) => return Poll::Pending,
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
    outlet: &Outlet,
) -> Outcome {
    outlet.move_to(Place::Blocking).await;
    outlet.start_stream();
    loop {
        // The item is gone before the pause, so it need not be `Send`.
        let written = match iterator.next() {
            None => return Outcome::StreamEnded,
            Some(item) => writer.write(item, outlet),
        };
        match written {
            Ok(Flow::More) => {}
            Ok(Flow::Yield) => outlet.pause().await,
            Err(error) => return Outcome::Failed(error),
        }
    }
}

/// A value of any serializable type, as the reply of a closure given to
/// [`AgentRuntimeAppBuilder::entrypoint`](crate::AgentRuntimeAppBuilder::entrypoint).
///
/// Functions with `#[ppio::entrypoint]` return their types as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// A stream whose items are sent as events, as the reply of a closure. Its items are `Result`s; an
/// `Err` ends the stream with an error item.
#[derive(Debug, Clone, Copy)]
pub struct EventStream<S>(pub S);

/// An iterator whose items are sent as events, as the reply of a closure. Its items are `Result`s;
/// an `Err` ends the stream with an error item. It runs on blocking threads.
#[derive(Debug, Clone, Copy)]
pub struct Events<I>(pub I);

/// What a closure may return: a value, [`Json`], [`EventStream`], [`Events`], a [`Response`], or
/// any of them in a `Result`.
#[diagnostic::on_unimplemented(
    message = "an entrypoint cannot return `{Self}`",
    label = "not a reply",
    note = "help: wrap a value in `ppio::Json(..)`, a stream in `ppio::EventStream(..)`, an iterator in `ppio::Events(..)`"
)]
pub trait IntoReply: Sized {
    /// Delivers the reply.
    #[doc(hidden)]
    fn deliver(self, outlet: Outlet) -> impl Future<Output = Outcome> + Send;
}

impl<T: Serialize + Send> IntoReply for Json<T> {
    async fn deliver(self, outlet: Outlet) -> Outcome {
        Outcome::value(&self.0, &outlet)
    }
}

impl IntoReply for Response {
    async fn deliver(self, _: Outlet) -> Outcome {
        Outcome::Response(Box::new(self))
    }
}

impl<S, T, E> IntoReply for EventStream<S>
where
    S: Stream<Item = Result<T, E>> + Send,
    T: Serialize,
    E: Into<BoxError>,
{
    async fn deliver(self, outlet: Outlet) -> Outcome {
        send_stream(self.0, ResultItem.writer(Probe::new(), IsBoxable), &outlet).await
    }
}

impl<I, T, E> IntoReply for Events<I>
where
    I: Iterator<Item = Result<T, E>> + Send,
    T: Serialize,
    E: Into<BoxError>,
{
    async fn deliver(self, outlet: Outlet) -> Outcome {
        send_iterator(self.0, ResultItem.writer(Probe::new(), IsBoxable), &outlet).await
    }
}

impl<R, E> IntoReply for Result<R, E>
where
    R: IntoReply + Send,
    E: Into<BoxError> + Send,
{
    async fn deliver(self, outlet: Outlet) -> Outcome {
        match self {
            Ok(reply) => reply.deliver(outlet).await,
            Err(error) => Outcome::Failed(IsBoxable::convert(error)),
        }
    }
}

macro_rules! value_replies {
    ($([$($generics:tt)*] $type:ty),* $(,)?) => {$(
        impl<$($generics)*> IntoReply for $type {
            async fn deliver(self, outlet: Outlet) -> Outcome {
                Outcome::value(&self, &outlet)
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
    [V: Serialize + Send] BTreeMap<String, V>,
    [V: Serialize + Send, H: Send] HashMap<String, V, H>,
);
