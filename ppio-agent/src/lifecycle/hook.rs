//! Runs startup and shutdown functions.

use std::future::Future;
use std::pin::Pin;

use tokio::task::JoinSet;

use crate::exchange::error::{Error, panic_message};

/// The future of a startup or shutdown function.
pub(crate) type HookFuture = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A startup or shutdown function, and its name in logs and errors.
pub(crate) struct Hook<F> {
    pub(crate) name: String,
    pub(crate) function: F,
}

/// Runs user code in a task, and converts a panic to an error. The task is aborted when this future
/// is dropped.
pub(super) async fn run(future: HookFuture) -> Result<(), Error> {
    let mut task = JoinSet::new();
    task.spawn(future);
    match task.join_next().await {
        Some(Ok(result)) => result,
        Some(Err(error)) => match error.try_into_panic() {
            Ok(panic) => {
                let message = panic_message(panic.as_ref());
                Err(Error::internal(format!("panic: {message}")))
            }
            // The runtime is ending, and this task with it.
            Err(_) => std::future::pending().await,
        },
        None => Ok(()),
    }
}

/// Runs a plain function on a blocking thread, and resumes its panic.
pub(super) async fn on_blocking_thread<T: Send + 'static>(
    function: impl FnOnce() -> T + Send + 'static,
) -> T {
    match tokio::task::spawn_blocking(function).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is ending, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
