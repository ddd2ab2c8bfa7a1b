//! Checks the signature of a function for WebSockets.

use syn::Type;

use super::parameters::check_shared;
use super::signature;
use crate::ast::Function;
use crate::attr::Attribute;
use crate::diagnostics::Diagnostics;

/// The types of the function's parameters.
pub(crate) struct WebSocketParameters<'a> {
    pub(crate) socket: &'a Type,
    /// The context and states.
    pub(crate) rest: Vec<&'a Type>,
}

/// Reports every error of the signature; returns the parameters if there is a socket.
pub(crate) fn check<'a>(
    function: &'a Function,
    diagnostics: &mut Diagnostics,
) -> Option<WebSocketParameters<'a>> {
    signature::check(Attribute::WebSocket, function, diagnostics);
    if !function.is_async() {
        diagnostics.report(
            function.signature.fn_token,
            "a websocket function must be an `async fn`",
            "write `async fn`",
        );
    }
    let parameters = function.parameters();
    let [socket, rest @ ..] = &parameters[..] else {
        if !function.has_receiver() {
            diagnostics.report(
                function.name(),
                "a websocket function requires a parameter for the socket",
                "write `(socket: ppio::WebSocket)`",
            );
        }
        return None;
    };
    if let Type::Reference(reference) = socket {
        diagnostics.report(
            reference.and_token,
            "a websocket function takes the socket by value",
            "remove the `&`",
        );
    }
    check_shared(Attribute::WebSocket, rest, diagnostics);
    Some(WebSocketParameters {
        socket,
        rest: rest.to_vec(),
    })
}
