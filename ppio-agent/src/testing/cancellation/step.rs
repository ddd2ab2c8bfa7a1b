//! The closures of the test's author: the steps before each invocation, and the checks after it.

use std::cell::RefCell;
use std::fmt::Debug;
use std::future::{Future, ready};
use std::pin::Pin;

use crate::testing::TestAgent;

/// A future that is not sent to another thread.
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

/// A check after an invocation was dropped.
pub(super) trait StateCheck {
    /// Stores the value that [`after`](Self::after) compares with.
    fn before(&self) -> LocalFuture<'_>;

    /// Adds a text to `left` for each failure. A panic is a failure as well.
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

/// A check that a state is the same before and after an invocation.
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

/// A check that an agent is idle.
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
