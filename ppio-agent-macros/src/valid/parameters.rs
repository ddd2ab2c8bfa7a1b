//! Checks parameters that the runtime passes by value or by reference.

use syn::Type;

use crate::attr::Attribute;
use crate::diagnostics::Diagnostics;

/// Reports mutable references.
pub(super) fn check_shared(
    attribute: Attribute,
    parameters: &[&Type],
    diagnostics: &mut Diagnostics,
) {
    for parameter in parameters {
        if let Type::Reference(reference) = parameter
            && let Some(mutability) = &reference.mutability
        {
            let subject = attribute.subject();
            diagnostics.report(
                mutability,
                &format!("{subject} cannot borrow this parameter mutably"),
                "remove `mut`",
            );
        }
    }
}
