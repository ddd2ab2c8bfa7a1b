//! Generates the conversion of the value that a function returned.

use proc_macro2::TokenStream;
use quote::quote;

use super::runtime_path::RuntimePath;
use super::token_range::TokenRange;
use crate::ast::Function;

/// Returns a closure from the value to a reply. A macro has no information about types, so method
/// resolution picks the conversion by the type; `ppio::__private::autoref` documents the steps.
pub(super) fn conversion(runtime: &RuntimePath<'_>, function: &Function) -> TokenStream {
    let private = runtime.private();
    let autoref = quote!(#private::autoref);
    let range = TokenRange::of_output(function);
    let fail = runtime.item_at("fail", range);
    let value = range.binding("__value");
    let (bind_value, value) = (value.name, value.value);
    let error = range.binding("__error");
    let (bind_error, error) = (error.name, error.value);
    let split_result = quote! {
        let __split = (&&#autoref::TypeTag::of(&#value)).result_kind().split(#value);
        let #bind_error = ((&&&#autoref::error_of(&__split)).error_kind(),);
        let #bind_value = match __split {
            ::core::result::Result::Ok(__value) => __value,
            ::core::result::Result::Err((__failure,)) => return #fail(#error, __failure),
        };
    };
    quote! {
        |#bind_value| {
            // Written twice, for a value that is a `Result` in a `Result`.
            #split_result
            #split_result
            let __shape = (&&&&&#autoref::TypeTag::of(&#value)).reply_kind();
            let __shape = __shape.shape(#value, &__buffer);
            let #bind_value = (#autoref::item_of(&__shape),);
            let #bind_error = ((&&&(&&#value).item_error()).error_kind(),);
            let __writer = (&&#value).item_kind().writer(#value, #error);
            #autoref::reply(__shape, __writer)
        }
    }
}

/// Returns an expression of type `Result<_, ppio::Error>` from the value that a startup or shutdown
/// function returned, which may be a `Result`. `check` names a function that the value of a success
/// is passed through.
pub(super) fn hook_result(
    runtime: &RuntimePath<'_>,
    function: &Function,
    output: &TokenStream,
    check: Option<&str>,
) -> TokenStream {
    let private = runtime.private();
    let autoref = quote!(#private::autoref);
    let range = TokenRange::of_output(function);
    let error = range.binding("__error");
    let (bind_error, error) = (error.name, error.value);
    let convert = runtime.call_at("hook_error", range, quote!(#error, __failure.0));
    let value = range.binding("__value");
    let (bind_value, value) = (value.name, value.value);
    let success = match check {
        None => value,
        Some(check) => runtime.call_at(check, range, value),
    };
    quote! {
        let __split = (&&#autoref::TypeTag::of(&#output)).result_kind().split(#output);
        let #bind_error = ((&&&#autoref::error_of(&__split)).error_kind(),);
        match __split {
            ::core::result::Result::Ok(#bind_value) => ::core::result::Result::Ok(#success),
            ::core::result::Result::Err(__failure) => ::core::result::Result::Err(#convert),
        }
    }
}
