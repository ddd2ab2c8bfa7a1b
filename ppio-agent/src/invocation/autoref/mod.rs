//! Determines the kind of the value that a user function returned, by the type of the value.
//!
//! The expansion of `#[entrypoint]` has only tokens and no type information:
//! `type Answer = Result<Chunks, Oops>` and `impl Iterator` look like any other type. However, the
//! expansion can contain method calls whose resolution depends on the type
//! ([autoref specialization]). For a value of type `T` the expansion calls
//! `(&&&&&TypeTag::of(&value)).reply_kind()`. `reply_kind` is implemented for `TypeTag<T>` without
//! a condition, for `&TypeTag<T>` where `T: Iterator`, and for more references to the tags of other
//! kinds. Method resolution takes the first implementation that applies, beginning with the most
//! references. Each kind is a unit struct whose methods handle the value.
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
//! All steps but the first run in one closure without an await, so a value and an error need not be
//! `Send`. The bounds are on the methods of the kinds, so that an unsuitable type causes one error
//! of `rustc`, at the returned type, with a message of this crate. Values are passed in one-element
//! tuples, so that the expansion can give `value.0` the span from the type's first token to its
//! last.
//!
//! [`Reply`]: super::reply::Reply
//! [autoref specialization]: https://github.com/dtolnay/case-studies/blob/master/autoref-specialization/README.md

mod error_kind;
mod future_kind;
mod item_kind;
mod reply_kind;
mod result_kind;
mod type_tag;
mod typed_reply;

pub use self::error_kind::{
    BoxedErrorKind, ConvertError, DisplayKind, DynError, IsBoxedError, IsDisplay, IsStdError,
    StdErrorKind, hook_error,
};
pub use self::future_kind::{AgentFuture, FutureKind, IsFuture, IsNotFuture, NotFutureKind};
pub use self::item_kind::{AgentItem, PlainItem, PlainItemKind, ResultItem, ResultItemKind};
pub use self::reply_kind::{
    AgentItems, AgentValue, IsIterator, IsReplyWithIterator, IsReplyWithStream,
    IsReplyWithoutItems, IsResponse, IsStream, IsValue, IteratorKind, ReplyItems,
    ReplyWithIteratorKind, ReplyWithStreamKind, ReplyWithoutItemsKind, ResponseKind, StreamKind,
    ValueKind,
};
pub use self::result_kind::{
    IsNonResult, IsResult, NonResultKind, RequireNonResult, ResultKind, Split, error_of,
    require_non_result,
};
pub use self::type_tag::TypeTag;
pub use self::typed_reply::{
    Iterating, Shape, Streaming, TypedReply, Whole, WholeOr, fail, item_of, reply,
};

/// The traits whose methods the expansion calls. They are imported as `_`, so that their names
/// cannot clash with the user's.
pub mod prelude {
    pub use super::{
        BoxedErrorKind as _, DisplayKind as _, FutureKind as _, IteratorKind as _,
        NonResultKind as _, NotFutureKind as _, PlainItemKind as _, ReplyWithIteratorKind as _,
        ReplyWithStreamKind as _, ReplyWithoutItemsKind as _, ResponseKind as _,
        ResultItemKind as _, ResultKind as _, StdErrorKind as _, StreamKind as _, ValueKind as _,
    };
}
