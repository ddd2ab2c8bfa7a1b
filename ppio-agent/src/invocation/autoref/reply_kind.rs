//! Determines whether a success is a response, a [`Reply`], a stream, an iterator or a value.

use futures_core::Stream;
use serde::Serialize;

use super::type_tag::TypeTag;
use super::typed_reply::{Iterating, Streaming, Whole, WholeOr};
use crate::exchange::body::Response;
use crate::invocation::event_buffer::EventBuffer;
use crate::invocation::reply::{Outcome, Reply};

/// Matches responses.
pub trait ResponseKind {
    /// Returns the kind, whose methods handle the value.
    fn reply_kind(&self) -> IsResponse {
        IsResponse
    }
}

impl ResponseKind for &&&&TypeTag<Response> {}

/// Matches [`Reply`]s of a value or a stream.
pub trait ReplyWithStreamKind {
    /// Returns the kind, whose methods handle the value.
    fn reply_kind(&self) -> IsReplyWithStream {
        IsReplyWithStream
    }
}

impl<T, S: Stream> ReplyWithStreamKind for &&&TypeTag<Reply<T, S>> {}

/// Matches [`Reply`]s of a value or an iterator.
pub trait ReplyWithIteratorKind {
    /// Returns the kind, whose methods handle the value.
    fn reply_kind(&self) -> IsReplyWithIterator {
        IsReplyWithIterator
    }
}

impl<T, I: Iterator> ReplyWithIteratorKind for &&TypeTag<Reply<T, I>> {}

/// Matches the remaining [`Reply`]s, whose second type is neither a stream nor an iterator.
pub trait ReplyWithoutItemsKind {
    /// Returns the kind, whose methods handle the value.
    fn reply_kind(&self) -> IsReplyWithoutItems {
        IsReplyWithoutItems
    }
}

impl<T, S> ReplyWithoutItemsKind for &TypeTag<Reply<T, S>> {}

/// Matches streams.
pub trait StreamKind {
    /// Returns the kind, whose methods handle the value.
    fn reply_kind(&self) -> IsStream {
        IsStream
    }
}

impl<S: Stream> StreamKind for &&TypeTag<S> {}

/// Matches iterators.
pub trait IteratorKind {
    /// Returns the kind, whose methods handle the value.
    fn reply_kind(&self) -> IsIterator {
        IsIterator
    }
}

impl<I: Iterator> IteratorKind for &TypeTag<I> {}

/// Matches the remaining types, which have to be values.
pub trait ValueKind {
    /// Returns the kind, whose methods handle the value.
    fn reply_kind(&self) -> IsValue {
        IsValue
    }
}

impl<T> ValueKind for TypeTag<T> {}

/// The kind of a response.
pub struct IsResponse;
/// The kind of a [`Reply`] of a value or a stream.
pub struct IsReplyWithStream;
/// The kind of a [`Reply`] of a value or an iterator.
pub struct IsReplyWithIterator;
/// The kind of a [`Reply`] whose second type has no items.
pub struct IsReplyWithoutItems;
/// The kind of a stream.
pub struct IsStream;
/// The kind of an iterator.
pub struct IsIterator;
/// The kind of a value.
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
    note = "help: write `Arc` instead of `Rc` in the type; write a box as `Box<dyn Iterator<Item = ..> + Send>` or `Pin<Box<dyn Stream<Item = ..> + Send>>`"
)]
pub trait AgentItems: Send {}

#[diagnostic::do_not_recommend]
impl<T: Send> AgentItems for T {}

/// The second type of a [`Reply`], for the error about a type without items.
#[diagnostic::on_unimplemented(
    message = "an entrypoint cannot reply with the stream `{Self}`",
    label = "neither a stream nor an iterator",
    note = "help: write a type that implements `Stream` or `Iterator` as the second type of `ppio::Reply`"
)]
pub trait ReplyItems {}

impl IsResponse {
    /// Returns a reply that is the response, unchanged.
    pub fn shape(self, response: Response, _: &EventBuffer) -> Whole {
        Whole(Outcome::Response(Box::new(response)))
    }
}
impl IsReplyWithStream {
    /// Returns a reply with the value or the items of the stream.
    pub fn shape<T: AgentValue, S: Stream + AgentItems>(
        self,
        reply: Reply<T, S>,
        buffer: &EventBuffer,
    ) -> WholeOr<Streaming<S>> {
        WholeOr::new(reply, buffer, Streaming)
    }
}
impl IsReplyWithIterator {
    /// Returns a reply with the value or the items of the iterator.
    pub fn shape<T: AgentValue, I: Iterator + AgentItems>(
        self,
        reply: Reply<T, I>,
        buffer: &EventBuffer,
    ) -> WholeOr<Iterating<I>> {
        WholeOr::new(reply, buffer, Iterating)
    }
}
impl IsReplyWithoutItems {
    /// Cannot be called: no type implements [`ReplyItems`].
    pub fn shape<T, S: ReplyItems>(self, _: Reply<T, S>, buffer: &EventBuffer) -> Whole {
        IsValue.shape((), buffer)
    }
}
impl IsStream {
    /// Returns a reply with the items of the stream.
    pub fn shape<S: Stream + AgentItems>(self, stream: S, _: &EventBuffer) -> Streaming<S> {
        Streaming(stream)
    }
}
impl IsIterator {
    /// Returns a reply with the items of the iterator.
    pub fn shape<I: Iterator + AgentItems>(self, iterator: I, _: &EventBuffer) -> Iterating<I> {
        Iterating(iterator)
    }
}
impl IsValue {
    /// Returns a reply with the value as JSON.
    pub fn shape<T: AgentValue>(self, value: T, buffer: &EventBuffer) -> Whole {
        Whole(Outcome::value(&value, buffer))
    }
}
