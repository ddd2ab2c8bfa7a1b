//! Builders that are futures.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The options of a call.
pub(crate) trait DeferredCall: Send + Unpin + 'static {
    /// What the call returns.
    type Output;

    /// Runs the call.
    fn run(self) -> impl Future<Output = Self::Output> + Send + 'static;
}

/// A call that takes options until it is first polled, and is a future from then on.
pub(crate) struct Deferred<C: DeferredCall> {
    /// `None` once the call has begun.
    options: Option<C>,
    running: Option<Pin<Box<dyn Future<Output = C::Output> + Send>>>,
}

impl<C: DeferredCall> Deferred<C> {
    pub(crate) fn new(options: C) -> Self {
        Self {
            options: Some(options),
            running: None,
        }
    }

    /// Changes the options.
    ///
    /// # Panics
    /// If the call has begun, because it would ignore the change.
    pub(crate) fn set(&mut self, change: impl FnOnce(&mut C)) {
        change(self.options.as_mut().expect(BEGUN));
    }

    /// The options, unless the call has begun.
    pub(crate) fn options(&self) -> Option<&C> {
        self.options.as_ref()
    }

    /// The options.
    ///
    /// # Panics
    /// If the call has begun.
    pub(crate) fn into_options(self) -> C {
        self.options.expect(BEGUN)
    }
}

const BEGUN: &str = "a call takes options until it is first polled";

impl<C: DeferredCall> Future for Deferred<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(options) = this.options.take() {
            this.running = Some(Box::pin(options.run()));
        }
        let running = this.running.as_mut();
        let running = running.expect("a future is not polled after it has returned");
        let output = ready!(running.as_mut().poll(cx));
        this.running = None;
        Poll::Ready(output)
    }
}
