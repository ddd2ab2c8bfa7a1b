//! `#[ppio::ping]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ReturnType;

use crate::attr;
use crate::errors::Errors;
use crate::function;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = attr::PING.parse(arguments, &mut errors);
    let Some(function) = function::parse(&attr::PING, &item, &mut errors) else {
        return function::with_errors(errors, item);
    };
    function::check(&attr::PING, &function, &mut errors);
    let signature = &function.sig;
    if !function::parameters(&function).is_empty() {
        errors.at(
            &signature.inputs,
            "the ping takes nothing: it is asked about the whole service",
            "remove the parameters",
        );
    }
    if matches!(signature.output, ReturnType::Default) {
        errors.at(
            &signature.ident,
            "the ping returns the health status, but this function returns nothing",
            "write `-> ppio::PingStatus`",
        );
    }
    if !errors.is_empty() {
        return function::with_errors(errors, function);
    }

    let krate = arguments.krate();
    let private = quote!(#krate::__private);
    let name = &signature.ident;
    let handler = if signature.asyncness.is_some() {
        quote!(on_worker)
    } else {
        quote!(on_blocking_thread)
    };
    let handler = quote_spanned! {function::output_span(&function)=>
        #private::PingHandler::#handler(#name)
    };
    let place = function::place(&krate, name);
    quote! {
        #function

        const _: () = {
            fn ping() -> #private::PingHandler {
                #handler
            }
            #private::inventory::submit! {
                #private::PingPart { ping, place: #place }
            }
        };
    }
}
