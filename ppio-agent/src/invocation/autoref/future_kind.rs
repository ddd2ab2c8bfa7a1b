//! Determines whether a plain `fn` returned a future.

use std::future::{Future, Ready, ready};

use super::type_tag::TypeTag;
use crate::invocation::event_buffer::{EventBuffer, RunOn};

/// Matches futures.
pub trait FutureKind {
    /// Returns the kind, whose methods handle the value.
    fn future_kind(&self) -> IsFuture {
        IsFuture
    }
}

impl<F: Future> FutureKind for &TypeTag<F> {}

/// Matches all types but futures.
pub trait NotFutureKind {
    /// Returns the kind, whose methods handle the value.
    fn future_kind(&self) -> IsNotFuture {
        IsNotFuture
    }
}

impl<T> NotFutureKind for TypeTag<T> {}

/// The kind of a future.
pub struct IsFuture;

/// The kind of any value that is not a future.
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
    /// Requires at compile time that the future is `Send`.
    pub fn check<F: AgentFuture>(&self, _: &F) {}

    /// Awaits the future on the async workers and passes its output to `next`.
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
    /// Accepts every type.
    pub fn check<T>(&self, _: &T) {}

    /// Passes the value to `next`.
    pub fn then<T, R>(self, value: T, _: &EventBuffer, next: impl FnOnce((T,)) -> R) -> Ready<R> {
        ready(next((value,)))
    }
}
