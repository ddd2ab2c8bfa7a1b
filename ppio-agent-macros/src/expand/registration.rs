//! Registers a function in the program's inventory.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use super::runtime_path::RuntimePath;
use crate::ast::Function;

/// Returns the function, followed by the code that registers it in a constant of the given name.
/// `rustc` shows that name to the user if the constant is defined twice.
///
/// An attribute cannot see whether its function is in an `impl` block or in a trait, where it
/// cannot be registered. `rustc` rejects a macro definition there with the advice to move it out to
/// a module.
pub(super) fn register(
    function: &Function,
    registration: &TokenStream,
    constant: &str,
) -> TokenStream {
    let cfg_attributes = function.cfg_attributes();
    let constant = Ident::new(constant, Span::call_site());
    quote! {
        #[allow(unused_macros)]
        macro_rules! __ppio_requires_a_free_function { () => {} }

        #function

        #(#cfg_attributes)*
        #[doc(hidden)]
        const #constant: () = { #registration };
    }
}

/// Returns the location of a function in the source, for errors at start-up.
pub(super) fn source_location(function: &Function, runtime: &RuntimePath<'_>) -> TokenStream {
    let private = runtime.private();
    let name = function.name().to_string();
    quote! {
        #private::SourceLocation::new(
            ::core::file!(),
            ::core::line!(),
            ::core::column!(),
            ::core::module_path!(),
            #name,
        )
    }
}
