//! Generates the code that passes the context and states to a function.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Type;

use super::runtime_path::RuntimePath;
use super::token_range::TokenRange;

/// The code that passes the context and states to one function.
#[derive(Default)]
pub(super) struct FurtherParameters {
    /// Statements that find the source of each value when the agent is built.
    pub(super) sources: TokenStream,
    /// Statements that create the values for one call.
    pub(super) values: TokenStream,
    /// The arguments, each after a comma.
    pub(super) arguments: TokenStream,
}

impl FurtherParameters {
    /// Generates the code. `call` is the variable of one call, and `pass` is the function that
    /// passes a value on at the type of its parameter.
    pub(super) fn new(
        runtime: &RuntimePath<'_>,
        types: &[&Type],
        call: &TokenStream,
        pass: &str,
    ) -> Self {
        let private = runtime.private();
        let mut parameters = Self::default();
        for (position, ty) in types.iter().enumerate() {
            let source = format_ident!("__source_{position}");
            let value = format_ident!("__parameter_{position}");
            let find = quote!(let #source = #private::parameter_source(__states););
            parameters.sources.extend(find);
            let make = quote!(let #value = #private::parameter(&#source, &#call););
            parameters.values.extend(make);
            let range = TokenRange::of(ty);
            let pass = runtime.call_at(pass, range, quote!(&#value));
            parameters.arguments.extend(quote!(, #pass));
        }
        parameters
    }
}
