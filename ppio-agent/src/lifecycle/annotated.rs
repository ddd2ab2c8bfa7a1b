//! How annotated functions take states.
//!
//! A macro has access neither to types nor to the other annotated functions, so `rustc` finds the
//! startup function of a state. `#[ppio::startup]` implements [`Built`] for the type that its
//! function builds. That type may be of another crate; a marker type that the expansion declares
//! makes the implementation legal. Where a function takes a `State<T>`, the expansion calls a
//! function that requires `T: Built<_>`, and `rustc` infers the marker from the only
//! implementation. If there is no implementation, or more than one, the error names `T`.
//!
//! `rustc` also checks that the inferred types are visible where the state is taken. So the marker
//! is `pub`, and the error of the startup function, which may be private, is not a part of the
//! marker.

use super::state::State;
use super::states::{StateLookup, StateSlot};

/// A type that a startup function builds. `StartupFunction` is the marker type of that function.
#[diagnostic::on_unimplemented(
    message = "no `#[ppio::startup]` function builds `{Self}`",
    label = "this state is never built",
    note = "help: write `#[ppio::startup] async fn build() -> {Self} {{ .. }}` in this crate; it may return a `Result`"
)]
pub trait Built<StartupFunction> {}

/// A return type of a startup function that is written as a `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not `std::result::Result`",
    label = "not a `Result` of the standard library",
    note = "help: return a type that is not named `Result`"
)]
pub trait ResultType {
    /// The type of the state.
    type State;
}

impl<T, E> ResultType for Result<T, E> {
    type State = T;
}

/// The parameter of a ping, routes or shutdown function, or an additional parameter of middleware.
#[diagnostic::on_unimplemented(
    message = "this parameter cannot be `{Self}`",
    label = "expected a state",
    note = "help: write `ppio::State<T>` or `&ppio::State<T>`, where a `#[ppio::startup]` function builds `T`"
)]
pub trait PassState<'a, T, StartupFunction> {
    #[doc(hidden)]
    fn pass(state: &'a State<T>) -> Self;
}

impl<'a, T: Built<StartupFunction>, StartupFunction> PassState<'a, T, StartupFunction>
    for State<T>
{
    fn pass(state: &'a State<T>) -> Self {
        state.clone()
    }
}

impl<'a, T: Built<StartupFunction>, StartupFunction> PassState<'a, T, StartupFunction>
    for &'a State<T>
{
    fn pass(state: &'a State<T>) -> Self {
        state
    }
}

/// Passes a state by value or by reference.
pub fn pass_state<'a, P: PassState<'a, T, StartupFunction>, T, StartupFunction>(
    state: &'a State<T>,
) -> P {
    P::pass(state)
}

/// Returns the slot of a state; called when the agent is built.
pub fn state_slot<T: Send + Sync + 'static>(states: &mut StateLookup<'_>) -> StateSlot<T> {
    states.slot()
}

/// Returns the state in a slot.
pub fn state<T>(slot: &StateSlot<T>) -> State<T> {
    slot.state()
}
