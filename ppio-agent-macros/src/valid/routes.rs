//! Checks the signature of a routes function.

use syn::ReturnType;

use super::parameters::check_shared;
use super::signature;
use crate::ast::Function;
use crate::attr::Attribute;
use crate::diagnostics::Diagnostics;

/// Reports every error of the signature.
pub(crate) fn check(function: &Function, diagnostics: &mut Diagnostics) {
    signature::check(Attribute::Routes, function, diagnostics);
    check_shared(Attribute::Routes, &function.parameters(), diagnostics);
    if matches!(function.signature.output, ReturnType::Default) {
        diagnostics.report(
            function.name(),
            "a routes function must return a service",
            "write `-> axum::Router`, or another tower service",
        );
    }
}
