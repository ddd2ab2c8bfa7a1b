//! Checks the signature of a startup function.

use quote::ToTokens as _;

use super::signature;
use crate::ast::Function;
use crate::attr::Attribute;
use crate::diagnostics::Diagnostics;

/// Reports every error of the signature.
pub(crate) fn check(function: &Function, diagnostics: &mut Diagnostics) {
    signature::check(Attribute::Startup, function, diagnostics);
    for parameter in function.parameters() {
        diagnostics.report(
            parameter,
            "a startup function cannot have parameters",
            "remove the parameter, and build the required state in the same function",
        );
    }
    if let Some(token) = signature::find_impl(function.signature.output.to_token_stream()) {
        diagnostics.report(
            token,
            "a startup function cannot return `impl Trait`",
            "write the type of the state, which `State<T>` names",
        );
    }
}
