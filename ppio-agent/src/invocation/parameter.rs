//! The parameters of an entrypoint after the request: the context and states.

use super::call::Call;
use crate::exchange::context::RequestContext;
use crate::lifecycle::State;
use crate::lifecycle::annotated::Built;
use crate::lifecycle::states::{StateLookup, StateSlot};

/// A type that an entrypoint can take after the request.
pub trait Parameter: Send + Sync + Sized + 'static {
    /// The source from which the parameter is created. It is looked up when the agent is created.
    #[doc(hidden)]
    type Source: Send + Sync + 'static;
    #[doc(hidden)]
    fn source(states: &mut StateLookup<'_>) -> Self::Source;
    #[doc(hidden)]
    fn make(source: &Self::Source, context: &RequestContext) -> Self;
}

impl Parameter for RequestContext {
    type Source = ();

    fn source(_: &mut StateLookup<'_>) {}

    fn make((): &(), context: &RequestContext) -> Self {
        context.clone()
    }
}

impl<T: Send + Sync + 'static> Parameter for State<T> {
    type Source = StateSlot<T>;

    fn source(states: &mut StateLookup<'_>) -> StateSlot<T> {
        states.slot()
    }

    fn make(slot: &StateSlot<T>, _: &RequestContext) -> Self {
        slot.state()
    }
}

/// The source of a parameter.
pub struct ParameterSource<P: Parameter>(P::Source);

/// Returns the source of a parameter, for use when the agent is created.
pub fn parameter_source<P: Parameter>(states: &mut StateLookup<'_>) -> ParameterSource<P> {
    ParameterSource(P::source(states))
}

/// Creates a parameter for one call.
pub fn parameter<P: Parameter>(source: &ParameterSource<P>, call: &impl HasContext) -> P {
    P::make(&source.0, call.context())
}

/// A call of a user function.
pub trait HasContext {
    #[doc(hidden)]
    fn context(&self) -> &RequestContext;
}

impl HasContext for Call {
    fn context(&self) -> &RequestContext {
        &self.context
    }
}

/// The type of a parameter after the request. A macro has no type information, so this trait checks
/// the type; `P` is the type without a reference.
#[diagnostic::on_unimplemented(
    message = "an entrypoint cannot take `{Self}` after the request",
    label = "expected the context or a state",
    note = "help: write `ppio::RequestContext`, or `ppio::State<T>` where a `#[ppio::startup]` function builds `T`, or a reference to one of these"
)]
pub trait PassParameter<'a, P, StartupFunction> {
    #[doc(hidden)]
    fn pass(parameter: &'a P) -> Self;
}

#[diagnostic::do_not_recommend]
impl<'a> PassParameter<'a, RequestContext, ()> for RequestContext {
    fn pass(context: &'a RequestContext) -> Self {
        context.clone()
    }
}

#[diagnostic::do_not_recommend]
impl<'a> PassParameter<'a, RequestContext, ()> for &'a RequestContext {
    fn pass(context: &'a RequestContext) -> Self {
        context
    }
}

// These two implementations have no `do_not_recommend`, so that the compiler reports that no
// startup function builds the state, and not that `PassParameter` is not implemented.
impl<'a, T: Built<StartupFunction>, StartupFunction> PassParameter<'a, State<T>, (StartupFunction,)>
    for State<T>
{
    fn pass(state: &'a State<T>) -> Self {
        state.clone()
    }
}

impl<'a, T: Built<StartupFunction>, StartupFunction> PassParameter<'a, State<T>, (StartupFunction,)>
    for &'a State<T>
{
    fn pass(state: &'a State<T>) -> Self {
        state
    }
}

/// Passes a parameter by value or by reference.
pub fn pass_parameter<'a, T: PassParameter<'a, P, StartupFunction>, P, StartupFunction>(
    parameter: &'a P,
) -> T {
    T::pass(parameter)
}
