//! Generates the code that passes states to a function.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::Type;

use super::runtime_path::RuntimePath;
use super::token_range::TokenRange;

/// The code that passes the states to one function.
#[derive(Default)]
pub(super) struct StateArguments {
    /// Statements that find the slot of each state when the agent is built.
    pub(super) slots: TokenStream,
    /// Statements that copy the states for one call.
    pub(super) copies: TokenStream,
    /// The arguments, in the order of the parameters.
    pub(super) arguments: Vec<TokenStream>,
}

impl StateArguments {
    pub(super) fn new<'a>(
        runtime: &RuntimePath<'_>,
        parameters: impl IntoIterator<Item = &'a Type>,
    ) -> Self {
        let private = runtime.private();
        let mut states = Self::default();
        for (position, ty) in parameters.into_iter().enumerate() {
            let (slot, state) = names(position);
            states
                .slots
                .extend(quote!(let #slot = #private::state_slot(__states);));
            states
                .copies
                .extend(quote!(let #state = #private::state(&#slot);));
            let range = TokenRange::of(ty);
            let argument = runtime.call_at("pass_state", range, quote!(&#state));
            states.arguments.push(argument);
        }
        states
    }

    /// Returns a closure that builds the function's part of the agent: it finds the slots, and then
    /// evaluates `make`.
    pub(super) fn maker(&self, make: &TokenStream) -> TokenStream {
        let slots = &self.slots;
        if slots.is_empty() {
            quote!(|_| #make)
        } else {
            quote!(|__states| { #slots #make })
        }
    }
}

fn names(position: usize) -> (Ident, Ident) {
    (
        format_ident!("__slot_{position}"),
        format_ident!("__state_{position}"),
    )
}
