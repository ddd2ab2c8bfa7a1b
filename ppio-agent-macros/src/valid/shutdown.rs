//! Checks the signature of a shutdown function.

use super::parameters::check_shared;
use super::signature;
use crate::ast::Function;
use crate::attr::Attribute;
use crate::diagnostics::Diagnostics;

/// Reports every error of the signature.
pub(crate) fn check(function: &Function, diagnostics: &mut Diagnostics) {
    signature::check(Attribute::Shutdown, function, diagnostics);
    check_shared(Attribute::Shutdown, &function.parameters(), diagnostics);
}
