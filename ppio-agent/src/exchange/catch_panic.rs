//! Converts a panic of user code to an error.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use super::error::Error;

/// Returns the output of a future, or an error if the future panics.
pub(crate) async fn catch_panic<F: Future>(future: F) -> Result<F::Output, Error> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        // The future is not polled again after a panic: its state may be broken.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(Error::from_panic(panic.as_ref()))),
        }
    })
    .await
}
