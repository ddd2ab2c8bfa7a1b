//! Checks the signature of middleware.

use syn::Type;

use super::parameters::check_shared;
use super::signature;
use crate::ast::Function;
use crate::attr::Attribute;
use crate::diagnostics::Diagnostics;

const TWO_PARAMETERS: &str = "middleware requires two parameters, the request and `Next`";
const WRITE_PARAMETERS: &str = "write `(request: ppio::Request, next: ppio::Next)`";

/// The types of a middleware's parameters.
pub(crate) struct MiddlewareParameters<'a> {
    pub(crate) request: &'a Type,
    pub(crate) rest: Vec<MiddlewareParameter<'a>>,
}

/// A parameter after the request.
pub(crate) enum MiddlewareParameter<'a> {
    Next(&'a Type),
    State(&'a Type),
}

/// Reports every error of the signature; returns the parameters if there are enough.
pub(crate) fn check<'a>(
    function: &'a Function,
    diagnostics: &mut Diagnostics,
) -> Option<MiddlewareParameters<'a>> {
    signature::check(Attribute::Middleware, function, diagnostics);
    if !function.is_async() {
        diagnostics.report(
            function.signature.fn_token,
            "middleware must be an `async fn`",
            "write `async fn`",
        );
    }
    // The parameters after a reported receiver are complete, or reported once it is removed.
    if function.has_receiver() {
        return None;
    }
    let parameters = function.parameters();
    let [request, rest @ ..] = &parameters[..] else {
        diagnostics.report(function.name(), TWO_PARAMETERS, WRITE_PARAMETERS);
        return None;
    };
    // States are passed by reference as well, which `Next` is not, so they are distinguished here:
    // the first parameter that is not named `State` is `Next`.
    let Some(next) = rest.iter().position(|ty| !is_state(ty)) else {
        diagnostics.report(parameters[rest.len()], TWO_PARAMETERS, WRITE_PARAMETERS);
        return None;
    };
    for parameter in [request, &rest[next]] {
        if let Type::Reference(reference) = parameter {
            diagnostics.report(
                reference.and_token,
                "middleware takes the request and `Next` by value",
                "remove the `&`",
            );
        }
    }
    let rest = rest.iter().enumerate();
    let rest: Vec<_> = rest
        .map(|(position, ty)| {
            if position == next {
                MiddlewareParameter::Next(ty)
            } else {
                MiddlewareParameter::State(ty)
            }
        })
        .collect();
    let states = rest.iter().filter_map(|parameter| match parameter {
        MiddlewareParameter::Next(_) => None,
        MiddlewareParameter::State(ty) => Some(*ty),
    });
    check_shared(
        Attribute::Middleware,
        &states.collect::<Vec<_>>(),
        diagnostics,
    );
    Some(MiddlewareParameters { request, rest })
}

/// Whether a type is `State<..>` or a reference to one, as far as tokens show it.
fn is_state(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => is_state(&reference.elem),
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.is_some_and(|segment| segment.ident == "State")
        }
        _ => false,
    }
}
