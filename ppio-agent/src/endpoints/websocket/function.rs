//! The signatures of functions for WebSockets.

use std::future::Future;

use ppio_agent_websocket::WebSocket;

use super::call::{WebSocketCall, WebSocketHandler, websocket_handler};
use crate::exchange::context::RequestContext;
use crate::exchange::error::{BoxError, Error};
use crate::invocation::parameter::Parameter;
use crate::lifecycle::State;
use crate::lifecycle::annotated::Built;
use crate::lifecycle::states::StateLookup;

/// The type of the first parameter of a function for WebSockets. A macro has no type information,
/// so this trait checks the type.
#[diagnostic::on_unimplemented(
    message = "the first parameter of a websocket function must be `ppio::WebSocket`, not `{Self}`",
    label = "expected `ppio::WebSocket`",
    note = "help: write `ppio::WebSocket`"
)]
pub trait PassSocket {
    #[doc(hidden)]
    fn pass(socket: WebSocket) -> Self;
}

#[diagnostic::do_not_recommend]
impl PassSocket for WebSocket {
    fn pass(socket: WebSocket) -> Self {
        socket
    }
}

/// Returns the socket of a call as the first argument of the user function.
pub fn pass_socket<T: PassSocket>(call: WebSocketCall) -> T {
    T::pass(call.socket)
}

/// The type of a parameter after the socket. A macro has no type information, so this trait checks
/// the type; `P` is the type without a reference.
#[diagnostic::on_unimplemented(
    message = "a websocket function cannot take `{Self}` after the socket",
    label = "expected the context or a state",
    note = "help: write `ppio::RequestContext`, or `ppio::State<T>` where a `#[ppio::startup]` function builds `T`, or a reference to one of these"
)]
pub trait PassSocketParameter<'a, P, StartupFunction> {
    #[doc(hidden)]
    fn pass(parameter: &'a P) -> Self;
}

#[diagnostic::do_not_recommend]
impl<'a> PassSocketParameter<'a, RequestContext, ()> for RequestContext {
    fn pass(context: &'a RequestContext) -> Self {
        context.clone()
    }
}

#[diagnostic::do_not_recommend]
impl<'a> PassSocketParameter<'a, RequestContext, ()> for &'a RequestContext {
    fn pass(context: &'a RequestContext) -> Self {
        context
    }
}

// These impls have no `do_not_recommend`, so that the compiler reports a state that is not built,
// and not the type of the parameter.
impl<'a, T: Built<StartupFunction>, StartupFunction>
    PassSocketParameter<'a, State<T>, (StartupFunction,)> for State<T>
{
    fn pass(state: &'a State<T>) -> Self {
        state.clone()
    }
}

impl<'a, T: Built<StartupFunction>, StartupFunction>
    PassSocketParameter<'a, State<T>, (StartupFunction,)> for &'a State<T>
{
    fn pass(state: &'a State<T>) -> Self {
        state
    }
}

/// Passes a parameter by value or by reference.
pub fn pass_socket_parameter<'a, T, P, StartupFunction>(parameter: &'a P) -> T
where
    T: PassSocketParameter<'a, P, StartupFunction>,
{
    T::pass(parameter)
}

/// A type that a function for WebSockets may return, directly or in a `Result`.
#[diagnostic::on_unimplemented(
    message = "a websocket function cannot return `{Self}`",
    label = "this value would be lost",
    note = "help: send the value with `socket.send(..)`, and return nothing, or `Result<(), E>` with an error that implements `std::fmt::Display`"
)]
pub trait WebSocketOutput {}

#[diagnostic::do_not_recommend]
impl WebSocketOutput for () {}

/// Requires at compile time that a function for WebSockets may return the value.
pub fn websocket_output<T: WebSocketOutput>(_: T) {}

/// A type that a [`WebSocketFunction`] may return: nothing, or a `Result`.
pub trait IntoSocketResult {
    /// Converts the returned value to a `Result`.
    ///
    /// # Errors
    /// Returns the error of the function, if there is one.
    fn into_socket_result(self) -> Result<(), Error>;
}

impl IntoSocketResult for () {
    fn into_socket_result(self) -> Result<(), Error> {
        Ok(())
    }
}

impl<E: Into<BoxError>> IntoSocketResult for Result<(), E> {
    fn into_socket_result(self) -> Result<(), Error> {
        self.map_err(Error::from_boxable)
    }
}

/// An `async` closure or function that serves WebSockets without the macro: it takes the
/// [`WebSocket`], then up to four further parameters, the context and [`State`]s, and returns
/// nothing or a `Result`. `Marker` distinguishes the signatures; it is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a websocket function",
    label = "not a websocket function",
    note = "help: take a `ppio::WebSocket` and optionally a `ppio::RequestContext` and `ppio::State`s, be `async`, and return nothing or a `Result<(), E>`"
)]
pub trait WebSocketFunction<Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_handler(self, states: &mut StateLookup<'_>) -> WebSocketHandler;
}

macro_rules! websocket_functions {
    ($(($($parameter:ident $source:ident),*))*) => {$(
        impl<F, R, $($parameter),*> WebSocketFunction<($($parameter,)*)> for F
        where
            F: Fn(WebSocket, $($parameter),*) -> R + Send + Sync + 'static,
            R: Future<Output: IntoSocketResult> + Send + 'static,
            $($parameter: Parameter,)*
        {
            #[allow(unused_variables, reason = "without further parameters")]
            fn into_handler(self, states: &mut StateLookup<'_>) -> WebSocketHandler {
                $(let $source = $parameter::source(states);)*
                websocket_handler(move |call: WebSocketCall| {
                    let WebSocketCall { socket, context } = call;
                    let future = self(socket, $($parameter::make(&$source, &context)),*);
                    async move { future.await.into_socket_result() }
                })
            }
        }
    )*};
}

websocket_functions! {
    ()
    (A a)
    (A a, B b)
    (A a, B b, C c)
    (A a, B b, C c, D d)
}
