//! The values that functions return: one value or items, found by type as in
//! [`autoref`](crate::autoref).

use std::future::Future;

use futures_core::Stream;
use ppio_agent_protocol::InvocationResponse;
use serde::Serialize;

use crate::autoref::SchemaOf;
use crate::schema::Schema;

/// The form of a function's answer, with its schemas.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplySchema {
    /// One value, with its schema.
    Value(Schema),
    /// A stream or an iterator, with the schema of each item.
    Items(Schema),
    /// One value or a stream, as the request selects.
    #[serde(untagged)]
    Either {
        /// The schema of the value.
        value: Schema,
        /// The schema of each item.
        items: Schema,
    },
}

/// A type that is one value or a stream: the `Reply` of the runtime.
pub trait EitherReply {
    /// The type of the value.
    type Value;
    /// The stream or the iterator.
    type Items;
}

/// A function of up to twelve parameters. `Parameters` is inferred.
pub trait Callable<Parameters> {
    /// The return type of the function.
    type Return;
}

macro_rules! callable {
    (impl $($parameter:ident)*) => {
        impl<F: Fn($($parameter),*) -> R, R, $($parameter),*> Callable<($($parameter,)*)> for F {
            type Return = R;
        }
    };
    () => {
        callable!(impl);
    };
    ($first:ident $($parameter:ident)*) => {
        callable!(impl $first $($parameter)*);
        callable!($($parameter)*);
    };
}

callable!(A B C D E G H I J K L M);

/// Returns the return type of a function.
pub fn return_type<F: Callable<P>, P>(_: &F) -> SchemaOf<F::Return> {
    SchemaOf::new()
}

/// The output of a future; any other type is unchanged.
pub trait AwaitedType<T> {
    /// Returns the output type of the future, or the unchanged type.
    fn awaited(&self) -> SchemaOf<T> {
        SchemaOf::new()
    }
}

impl<F: Future> AwaitedType<F::Output> for &SchemaOf<F> {}
impl<T> AwaitedType<T> for SchemaOf<T> {}

/// The success of a `Result`; any other type is unchanged.
pub trait SuccessType<T> {
    /// Returns the success type of the `Result`, or the unchanged type.
    fn success(&self) -> SchemaOf<T> {
        SchemaOf::new()
    }
}

impl<T, E> SuccessType<T> for &SchemaOf<Result<T, E>> {}
impl<T> SuccessType<T> for SchemaOf<T> {}

/// The result of an envelope, which is the value of the answer; any other type is unchanged.
pub trait EnvelopedType<T> {
    /// Returns the type of the envelope's result, or the unchanged type.
    fn enveloped(&self) -> SchemaOf<T> {
        SchemaOf::new()
    }
}

impl<T> EnvelopedType<T> for &SchemaOf<InvocationResponse<T>> {}
impl<T> EnvelopedType<T> for SchemaOf<T> {}

/// An answer that is one value.
pub struct ValueReply<T>(SchemaOf<T>);

/// An answer that consists of items.
pub struct ItemsReply<T>(SchemaOf<T>);

/// An answer that is one value or items.
pub struct ValueOrItemsReply<T, I>(SchemaOf<T>, SchemaOf<I>);

/// The items of a stream or an iterator; any other type is a single value.
pub trait ReplyForm<P> {
    /// Returns the form of the answer.
    fn form(&self) -> P;
}

impl<R, S> ReplyForm<ValueOrItemsReply<R::Value, S::Item>> for &&&&SchemaOf<R>
where
    R: EitherReply<Items = S>,
    S: Stream,
{
    fn form(&self) -> ValueOrItemsReply<R::Value, S::Item> {
        ValueOrItemsReply(SchemaOf::new(), SchemaOf::new())
    }
}

impl<R, I> ReplyForm<ValueOrItemsReply<R::Value, I::Item>> for &&&SchemaOf<R>
where
    R: EitherReply<Items = I>,
    I: Iterator,
{
    fn form(&self) -> ValueOrItemsReply<R::Value, I::Item> {
        ValueOrItemsReply(SchemaOf::new(), SchemaOf::new())
    }
}

impl<S: Stream> ReplyForm<ItemsReply<S::Item>> for &&SchemaOf<S> {
    fn form(&self) -> ItemsReply<S::Item> {
        ItemsReply(SchemaOf::new())
    }
}

impl<I: Iterator> ReplyForm<ItemsReply<I::Item>> for &SchemaOf<I> {
    fn form(&self) -> ItemsReply<I::Item> {
        ItemsReply(SchemaOf::new())
    }
}

impl<T> ReplyForm<ValueReply<T>> for SchemaOf<T> {
    fn form(&self) -> ValueReply<T> {
        ValueReply(SchemaOf::new())
    }
}

/// The type of an item that is written as JSON: the success of a `Result`.
pub trait WrittenItem<T> {
    /// Returns the success type of the `Result`, or the unchanged type.
    fn written_item(&self) -> SchemaOf<T> {
        SchemaOf::new()
    }
}

impl<T, E> WrittenItem<T> for &SchemaOf<Result<T, E>> {}
impl<T> WrittenItem<T> for SchemaOf<T> {}

#[expect(clippy::unused_self, reason = "found by method call")]
impl<T> ValueReply<T> {
    /// Returns the type of the value.
    pub fn value(&self) -> SchemaOf<T> {
        SchemaOf::new()
    }

    /// Returns the unit type, because the answer has no items.
    pub fn item(&self) -> SchemaOf<()> {
        SchemaOf::new()
    }

    /// Returns the schema of the answer.
    pub fn reply(&self, value: Schema, _: Schema) -> ReplySchema {
        ReplySchema::Value(value)
    }
}

#[expect(clippy::unused_self, reason = "found by method call")]
impl<T> ItemsReply<T> {
    /// Returns the unit type, because the answer has no single value.
    pub fn value(&self) -> SchemaOf<()> {
        SchemaOf::new()
    }

    /// Returns the type of the items.
    pub fn item(&self) -> SchemaOf<T> {
        SchemaOf::new()
    }

    /// Returns the schema of the answer.
    pub fn reply(&self, _: Schema, items: Schema) -> ReplySchema {
        ReplySchema::Items(items)
    }
}

#[expect(clippy::unused_self, reason = "found by method call")]
impl<T, I> ValueOrItemsReply<T, I> {
    /// Returns the type of the value.
    pub fn value(&self) -> SchemaOf<T> {
        SchemaOf::new()
    }

    /// Returns the type of the items.
    pub fn item(&self) -> SchemaOf<I> {
        SchemaOf::new()
    }

    /// Returns the schema of the answer.
    pub fn reply(&self, value: Schema, items: Schema) -> ReplySchema {
        ReplySchema::Either { value, items }
    }
}

/// Returns the [`ReplySchema`] of a function of up to twelve parameters.
///
/// The function is named, not called. The type of the answer is found through a returned future,
/// the success of a `Result`, the result of an envelope, and the items of a stream or iterator. The
/// schema then comes from `JsonSchema`, otherwise it is [`Schema::any`](crate::Schema::any).
#[macro_export]
macro_rules! reply_schema {
    ($function:path) => {{
        use $crate::__private::{
            AwaitedType as _, EnvelopedType as _, FindReplySchema as _, ReplyForm as _,
            SuccessType as _, WrittenItem as _,
        };
        let returned = $crate::__private::return_type(&$function);
        let awaited = (&&returned).awaited();
        let success = (&&awaited).success();
        let form = (&&&&&success).form();
        let value = form.value();
        let value = (&&value).enveloped();
        let item = form.item();
        let item = (&&item).written_item();
        form.reply((&&value).reply_schema(), (&&item).reply_schema())
    }};
}
