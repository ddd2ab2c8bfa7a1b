//! Work that is always followed by a cleanup.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tokio::runtime::Handle;

use super::client_core::ClientCore;
use crate::error::Error;

/// The result of a scope's body; `Err` is the payload of its panic.
pub(crate) type ScopeOutcome<T, E> = Result<Result<T, E>, Box<dyn Any + Send>>;

type Close = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Runs `body`, then `close`, whether the body succeeds, fails or panics. If this future is
/// dropped, `close` runs in the background.
///
/// An error or a panic of the body takes precedence over an error of `close`, which is then logged.
pub(crate) async fn run_then_close<T, E: From<Error>>(
    core: Arc<ClientCore>,
    body: impl Future<Output = Result<T, E>>,
    close: impl Future<Output = Result<(), Error>> + Send + 'static,
) -> ScopeOutcome<T, E> {
    let mut closing = Closing {
        close: Some(Box::pin(close)),
        runtime: Handle::current(),
        core,
    };
    let outcome = catch_panic(body).await;
    let closed = closing.finish().await;
    match (outcome, closed) {
        (Ok(Ok(_)), Err(error)) => Ok(Err(error.into())),
        (outcome, closed) => {
            if let Err(error) = closed {
                log(&error);
            }
            outcome
        }
    }
}

/// The cleanup of a scope, until it has run.
struct Closing {
    close: Option<Close>,
    runtime: Handle,
    core: Arc<ClientCore>,
}

impl Closing {
    async fn finish(&mut self) -> Result<(), Error> {
        let Some(close) = &mut self.close else {
            return Ok(());
        };
        let closed = close.await;
        self.close = None;
        closed
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        if let Some(close) = self.close.take() {
            self.core.background.spawn(&self.runtime, async move {
                if let Err(error) = close.await {
                    log(&error);
                }
            });
        }
    }
}

fn log(error: &Error) {
    let error = error.report();
    tracing::warn!(%error, "cannot close the session or the client of a scope");
}

async fn catch_panic<F: Future>(body: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut body = pin!(body);
    // The body is not polled again after a panic, and the caller is responsible for the state that
    // the body shares.
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        },
    )
    .await
}
