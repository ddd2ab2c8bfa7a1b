//! `#[ppio::ping]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ReturnType;

use crate::attr::{self, Arguments};
use crate::errors::Errors;
use crate::function::{self, Function};

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = attr::PING.parse(arguments, &mut errors);
    let Some(function) = Function::parse(attr::PING.name, item, &mut errors) else {
        return function::with_errors(errors, item);
    };
    function.check(attr::PING.name, &mut errors);
    check(&function, &mut errors);
    if errors.is_empty() {
        generate(&arguments, &function)
    } else {
        function::with_errors(errors, function.kept())
    }
}

fn check(function: &Function, errors: &mut Errors) {
    for parameter in function.parameters() {
        errors.at(
            parameter,
            "the ping takes nothing: it is asked about the whole service",
            "remove the parameter",
        );
    }
    if matches!(function.signature.output, ReturnType::Default) {
        errors.at(
            function.name(),
            "the ping returns the health status, but this function returns nothing",
            "write `-> ppio::PingStatus`",
        );
    }
}

fn generate(arguments: &Arguments, function: &Function) -> TokenStream {
    let krate = arguments.krate();
    let private = quote!(#krate::__private);
    let name = function.name();
    let output = function.output();
    let (bind, answer) = output.variable("__answer");
    let into_ping = arguments.call_at("into_ping", output.ends(), answer);
    // What the future keeps that is not `Send` is reported at the function's name.
    let at = (name.span(), name.span());
    let handler = if function.is_async() {
        let check = function.callback(&[], quote!(let #bind = (#name().await,); #into_ping));
        arguments.call_at("ping_on_worker", at, check)
    } else {
        let check = quote!(|| { let #bind = (#name(),); #into_ping });
        arguments.call_at("ping_on_blocking_thread", at, check)
    };
    let place = function.place(&krate);
    let part = quote! {
        #private::inventory::submit! {
            #private::PingPart { ping: || #handler, place: #place }
        }
    };
    function::beside(function, &part, "A_SERVICE_HAS_ONE_PING_REMOVE_THE_OTHER")
}
