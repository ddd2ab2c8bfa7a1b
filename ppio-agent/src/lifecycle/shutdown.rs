//! A function that runs when the agent ends.

use std::fmt::Display;
use std::future::Future;

use super::hook::{HookFuture, on_blocking_thread};
use super::state::State;
use super::states::{StateLookup, StateSlot};
use crate::exchange::error::{BoxError, Error};

/// A type that a shutdown function may return, alone or in a `Result`.
#[diagnostic::on_unimplemented(
    message = "a shutdown function cannot return `{Self}`",
    label = "this value would be lost",
    note = "help: return nothing, or `Result<(), E>` with an error that implements `std::fmt::Display`"
)]
pub trait ShutdownOutput {}

#[diagnostic::do_not_recommend]
impl ShutdownOutput for () {}

/// Requires at compile time that a shutdown function may return a value of this type.
pub fn shutdown_output<T: ShutdownOutput>(_: T) {}

/// A function that runs when the agent ends.
pub struct Shutdown(pub(super) Box<dyn FnOnce() -> HookFuture + Send>);

/// Creates a shutdown function from an annotated `async` function.
pub fn shutdown_on_worker<F, R>(function: F) -> Shutdown
where
    F: FnOnce() -> R + Send + 'static,
    R: Future<Output = Result<(), Error>> + Send + 'static,
{
    Shutdown(Box::new(|| Box::pin(async move { function().await })))
}

/// Creates a shutdown function from an annotated plain function.
pub fn shutdown_on_blocking_thread<F>(function: F) -> Shutdown
where
    F: FnOnce() -> Result<(), Error> + Send + 'static,
{
    Shutdown(Box::new(|| Box::pin(on_blocking_thread(function))))
}

/// The return type of a shutdown closure of the builder: nothing, or a `Result`.
pub trait IntoShutdown {
    /// Returns the error that the function returned, if there is one.
    fn into_shutdown(self) -> Result<(), BoxError>;
}

impl IntoShutdown for () {
    fn into_shutdown(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError> + Display> IntoShutdown for Result<(), E> {
    fn into_shutdown(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// An `async` closure or function that can be a shutdown function without the macro: it takes up to
/// four [`State`]s. `Marker` distinguishes the signatures; it is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a shutdown function",
    label = "not a shutdown function",
    note = "help: take up to four parameters of type `ppio::State<T>`, be `async`, and return nothing or a `Result<(), E>`"
)]
pub trait ShutdownFunction<Marker>: Send + 'static {
    #[doc(hidden)]
    fn into_shutdown(self, states: &mut StateLookup<'_>) -> Shutdown;
}

macro_rules! shutdown_functions {
    ($(($($state:ident $slot:ident),*))*) => {$(
        impl<F, R, $($state),*> ShutdownFunction<($(State<$state>,)*)> for F
        where
            F: FnOnce($(State<$state>),*) -> R + Send + 'static,
            R: Future<Output: IntoShutdown> + Send + 'static,
            $($state: Send + Sync + 'static,)*
        {
            #[allow(unused_variables, reason = "without states")]
            fn into_shutdown(self, states: &mut StateLookup<'_>) -> Shutdown {
                $(let $slot: StateSlot<$state> = states.slot();)*
                shutdown_on_worker(move || {
                    let future = self($($slot.state()),*);
                    async move { future.await.into_shutdown().map_err(Error::from_boxable) }
                })
            }
        }
    )*};
}

shutdown_functions! {
    ()
    (A a)
    (A a, B b)
    (A a, B b, C c)
    (A a, B b, C c, D d)
}
