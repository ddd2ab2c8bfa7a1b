//! Checks the signature of an entrypoint.

use syn::Type;

use super::borrows::find_borrow;
use super::signature;
use crate::ast::Function;
use crate::attr::Attribute;
use crate::diagnostics::Diagnostics;

/// The types of an entrypoint's parameters.
pub(crate) struct EntrypointParameters<'a> {
    pub(crate) request: &'a Type,
    pub(crate) context: Option<&'a Type>,
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
    let context = rest.first().copied();
    if let Some(Type::Reference(reference)) = context
        && let Some(mutability) = &reference.mutability
    {
        diagnostics.report(
            mutability,
            "an entrypoint cannot borrow the context mutably",
            "write `&ppio::RequestContext`",
        );
    }
    for parameter in rest.iter().skip(1) {
        diagnostics.report(
            parameter,
            "an entrypoint cannot have more than two parameters",
            "remove this one; put its value into the request, into an extension that middleware \
             sets, or into a `static`",
        );
    }
    Some(EntrypointParameters { request, context })
}
