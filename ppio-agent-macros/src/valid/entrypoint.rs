//! Checks the signature of an entrypoint.

use syn::Type;

use super::borrows::find_borrow;
use super::parameters::check_shared;
use super::signature;
use crate::ast::Function;
use crate::attr::Attribute;
use crate::diagnostics::Diagnostics;

/// The maximum number of parameters with which the schema of an entrypoint can be found.
const MAX_PARAMETERS: usize = 12;

/// The types of an entrypoint's parameters.
pub(crate) struct EntrypointParameters<'a> {
    pub(crate) request: &'a Type,
    /// The context and states.
    pub(crate) rest: Vec<&'a Type>,
}

/// Reports every error of the signature; returns the parameters if there is a request.
pub(crate) fn check<'a>(
    function: &'a Function,
    diagnostics: &mut Diagnostics,
) -> Option<EntrypointParameters<'a>> {
    signature::check(Attribute::Entrypoint, function, diagnostics);
    let parameters = function.parameters();
    let [request, rest @ ..] = &parameters[..] else {
        if !function.has_receiver() {
            diagnostics.report(
                function.name(),
                "an entrypoint requires a parameter for the request",
                "write `(request: ppio::Value)`, or a type that implements `serde::Deserialize`",
            );
        }
        return None;
    };
    if let Some(borrow) = find_borrow(request) {
        diagnostics.report(
            borrow,
            "the request of an entrypoint cannot borrow",
            "write an owned type, such as `String` for `&str` or `Vec<T>` for `&[T]`",
        );
    }
    check_shared(Attribute::Entrypoint, rest, diagnostics);
    if let Some(parameter) = parameters.get(MAX_PARAMETERS) {
        diagnostics.report(
            parameter,
            &format!("an entrypoint cannot have more than {MAX_PARAMETERS} parameters"),
            "combine states in one type that a `#[ppio::startup]` function builds",
        );
    }
    Some(EntrypointParameters {
        request,
        rest: rest.to_vec(),
    })
}
