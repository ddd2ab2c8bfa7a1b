//! Generates the conversion of what an entrypoint returned into a reply.

use proc_macro2::TokenStream;
use quote::quote;

use super::runtime_path::RuntimePath;
use super::token_range::TokenRange;
use crate::ast::Function;

/// Returns a closure from the value to a reply. A macro sees no types, so method resolution picks
/// the conversion by the type; `ppio::__private::probe` documents the steps.
pub(super) fn conversion(runtime: &RuntimePath<'_>, function: &Function) -> TokenStream {
    let private = runtime.private();
    let probe = quote!(#private::probe);
    let range = TokenRange::of_output(function);
    let fail = runtime.item_at("fail", range);
    let value = range.binding("__value");
    let (bind_value, value) = (value.name, value.value);
    let error = range.binding("__error");
    let (bind_error, error) = (error.name, error.value);
    let split_result = quote! {
        let __split = (&&#probe::Probe::of(&#value)).probe_result().split(#value);
        let #bind_error = ((&&&&&#probe::error_of(&__split)).probe_error(),);
        let #bind_value = match __split {
            ::core::result::Result::Ok(__value) => __value,
            ::core::result::Result::Err((__failure,)) => return #fail(#error, __failure),
        };
    };
    quote! {
        |#bind_value| {
            // Twice, for a `Result` in a `Result`: either can fail.
            #split_result
            #split_result
            let __shape = (&&&&#probe::Probe::of(&#value)).probe_reply();
            let __shape = __shape.shape(#value, &__outlet);
            let #bind_value = (#probe::item_of(&__shape),);
            let #bind_error = ((&&&&&(&&#value).probe_item_error()).probe_error(),);
            let __writer = (&&#value).probe_item().writer(#value, #error);
            #probe::reply(__shape, __writer)
        }
    }
}
