//! A function that builds a state.

use std::future::Future;

use super::error::LifecycleError;
use super::hook::{Hook, HookFuture, on_blocking_thread};
use super::states::{AnySlot, StateSlot, States};
use crate::exchange::error::Error;

/// Starts a startup function and returns its future, or `None` if its state has a value already.
pub(crate) type StartupRun = Box<dyn FnOnce() -> Option<HookFuture> + Send>;

/// A type that a startup function can build.
#[diagnostic::on_unimplemented(
    message = "a startup function cannot build `{Self}`, which is not `Send` and `Sync`",
    label = "cannot be shared between threads",
    note = "help: write `Arc` instead of `Rc`, and `Mutex` or an atomic instead of `RefCell` or `Cell`, in the type"
)]
pub trait SharedState: Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> SharedState for T {}

/// A function that builds a state, and the slot that this state fills.
pub struct Startup {
    slot: AnySlot,
    run: StartupRun,
}

impl Startup {
    pub(crate) fn new<T, F, R>(function: F) -> Self
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let slot = StateSlot::empty();
        Self {
            slot: AnySlot::new(slot.clone()),
            run: Box::new(move || {
                if slot.is_filled() {
                    return None;
                }
                Some(Box::pin(async move {
                    slot.fill(function().await?);
                    Ok(())
                }))
            }),
        }
    }

    /// Adds the state to those of the agent, and returns the function with its name.
    pub(crate) fn register(
        self,
        name: String,
        states: &mut States,
    ) -> Result<Hook<StartupRun>, LifecycleError> {
        states.add(self.slot, name.clone())?;
        Ok(Hook {
            name,
            function: self.run,
        })
    }

    /// Returns the name of the type that the function builds.
    pub(crate) fn state_name(&self) -> &'static str {
        self.slot.type_name()
    }
}

/// Creates a startup function from an annotated `async` function.
pub fn startup_on_worker<T, F, R>(function: F) -> Startup
where
    T: SharedState,
    F: FnOnce() -> R + Send + 'static,
    R: Future<Output = Result<T, Error>> + Send + 'static,
{
    Startup::new(function)
}

/// Creates a startup function from an annotated plain function.
pub fn startup_on_blocking_thread<T, F>(function: F) -> Startup
where
    T: SharedState,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    Startup::new(|| on_blocking_thread(function))
}
