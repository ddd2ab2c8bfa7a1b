//! Checks the signature of a ping.

use syn::ReturnType;

use super::parameters::check_shared;
use super::signature;
use crate::ast::Function;
use crate::attr::Attribute;
use crate::diagnostics::Diagnostics;

/// Reports every error of the signature.
pub(crate) fn check(function: &Function, diagnostics: &mut Diagnostics) {
    signature::check(Attribute::Ping, function, diagnostics);
    check_shared(Attribute::Ping, &function.parameters(), diagnostics);
    if matches!(function.signature.output, ReturnType::Default) {
        diagnostics.report(
            function.name(),
            "a ping must return a health status",
            "write `-> ppio::PingStatus`",
        );
    }
}
