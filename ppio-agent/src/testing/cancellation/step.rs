//! The author's closures: what runs before each invocation, and what is checked after it.

use std::cell::RefCell;
use std::fmt::Debug;
use std::future::{Future, ready};
use std::pin::Pin;

use crate::testing::TestAgent;

/// A future that stays on its thread.
pub(super) type LocalFuture<'f> = Pin<Box<dyn Future<Output = ()> + 'f>>;

/// An async closure that runs several times.
pub(super) trait AsyncStep {
    fn run(&self) -> LocalFuture<'_>;
}

impl<F: AsyncFn()> AsyncStep for F {
    fn run(&self) -> LocalFuture<'_> {
        Box::pin(self())
    }
}

/// Something that has to hold after an invocation was dropped.
pub(super) trait StateCheck {
    /// Keeps what [`after`](Self::after) compares with.
    fn before(&self) -> LocalFuture<'_>;

    /// Adds a text for everything that does not hold. A panic is a failure as well.
    fn after<'c>(&'c self, left: &'c mut Vec<String>) -> LocalFuture<'c>;
}

/// A closure with assertions.
pub(super) struct Assertions<F>(pub(super) F);

impl<F: AsyncFn()> StateCheck for Assertions<F> {
    fn before(&self) -> LocalFuture<'_> {
        Box::pin(ready(()))
    }

    fn after<'c>(&'c self, _: &'c mut Vec<String>) -> LocalFuture<'c> {
        self.0.run()
    }
}

/// A state that has to be the same before and after.
pub(super) struct Unchanged<F, S> {
    state: F,
    before: RefCell<Option<S>>,
}

impl<F, S> Unchanged<F, S> {
    pub(super) fn new(state: F) -> Self {
        Self {
            state,
            before: RefCell::new(None),
        }
    }
}

impl<F: AsyncFn() -> S, S: PartialEq + Debug> StateCheck for Unchanged<F, S> {
    fn before(&self) -> LocalFuture<'_> {
        Box::pin(async {
            let state = (self.state)().await;
            self.before.replace(Some(state));
        })
    }

    fn after<'c>(&'c self, left: &'c mut Vec<String>) -> LocalFuture<'c> {
        Box::pin(async {
            let after = (self.state)().await;
            if let Some(before) = self.before.take()
                && before != after
            {
                left.push(format!("the state was {before:?} and is {after:?}"));
            }
        })
    }
}

/// An agent that has to be idle.
pub(super) struct Idle(pub(super) TestAgent);

impl StateCheck for Idle {
    fn before(&self) -> LocalFuture<'_> {
        Box::pin(ready(()))
    }

    fn after<'c>(&'c self, left: &'c mut Vec<String>) -> LocalFuture<'c> {
        left.extend(self.0.busy_with());
        Box::pin(ready(()))
    }
}
