//! Checks the signature of middleware.

use syn::Type;

use super::signature;
use crate::ast::Function;
use crate::attr::Attribute;
use crate::diagnostics::Diagnostics;

const TWO_PARAMETERS: &str = "middleware requires two parameters, the request and `Next`";
const WRITE_PARAMETERS: &str = "write `(request: ppio::Request, next: ppio::Next)`";

/// Reports every error of the signature.
pub(crate) fn check(function: &Function, diagnostics: &mut Diagnostics) {
    signature::check(Attribute::Middleware, function, diagnostics);
    if !function.is_async() {
        diagnostics.report(
            function.signature.fn_token,
            "middleware must be an `async fn`",
            "write `async fn`",
        );
    }
    // The parameters beside a reported receiver are complete, or reported once it is removed.
    if function.has_receiver() {
        return;
    }
    match &function.parameters()[..] {
        [] => diagnostics.report(function.name(), TWO_PARAMETERS, WRITE_PARAMETERS),
        [parameter] => diagnostics.report(parameter, TWO_PARAMETERS, WRITE_PARAMETERS),
        [request, next, rest @ ..] => {
            for parameter in [request, next] {
                if let Type::Reference(reference) = parameter {
                    diagnostics.report(
                        reference.and_token,
                        "middleware takes the request and `Next` by value",
                        "remove the `&`",
                    );
                }
            }
            for parameter in rest {
                diagnostics.report(
                    parameter,
                    "middleware cannot have more than two parameters",
                    "remove this one; `ppio::AgentRuntimeContext::current()` returns the context",
                );
            }
        }
    }
}
