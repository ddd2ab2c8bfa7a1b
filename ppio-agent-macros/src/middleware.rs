//! `#[ppio::middleware]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Type;
use syn::ext::IdentExt as _;

use crate::attr::{self, Arguments};
use crate::errors::Errors;
use crate::function::{self, Function, ends};

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = attr::MIDDLEWARE.parse(arguments, &mut errors);
    let Some(function) = Function::parse(attr::MIDDLEWARE.name, item, &mut errors) else {
        return function::with_errors(errors, item);
    };
    function.check(attr::MIDDLEWARE.name, &mut errors);
    check(&function, &mut errors);
    if errors.is_empty() {
        generate(&arguments, &function)
    } else {
        function::with_errors(errors, function.kept())
    }
}

fn check(function: &Function, errors: &mut Errors) {
    if !function.is_async() {
        errors.at(
            function.signature.fn_token,
            "middleware waits for the rest of the way, so it is asynchronous",
            "write `async fn`",
        );
    }
    let parameters = function.parameters();
    match &parameters[..] {
        // With a `self` the two are all there, or seen once that is gone.
        _ if function.is_method() => {}
        [] => errors.at(
            function.name(),
            "middleware takes the request and the rest of the way, but this function takes nothing",
            "write `(request: ppio::Request, next: ppio::Next)`",
        ),
        [only] => errors.at(
            only,
            "middleware takes two parameters: the request and the rest of the way",
            "write `(request: ppio::Request, next: ppio::Next)`",
        ),
        [request, next, rest @ ..] => {
            for parameter in [request, next] {
                if let Type::Reference(reference) = parameter {
                    errors.at(
                        reference.and_token,
                        "middleware owns the request and the rest of the way",
                        "remove the `&`",
                    );
                }
            }
            for more in rest {
                errors.at(
                    more,
                    "middleware takes the request and the rest of the way, nothing else",
                    "remove this; the context is `ppio::AgentRuntimeContext::current()`",
                );
            }
        }
    }
}

fn generate(arguments: &Arguments, function: &Function) -> TokenStream {
    let krate = arguments.krate();
    let private = quote!(#krate::__private);
    let name = function.name();
    let (order, all) = (arguments.order(), arguments.all());
    // Each parameter's type is compared where it stands.
    let (request, next) = (function.variable("__request"), function.variable("__next"));
    let pass = function
        .parameters()
        .into_iter()
        .zip([("pass_request", &request), ("pass_next", &next)])
        .map(|(ty, (pass, value))| arguments.call_at(pass, ends(ty), quote!(#value)));
    let output = function.output();
    let (bind, answer) = output.variable("__answer");
    let into_response = arguments.call_at("into_response", output.ends(), answer);
    let run = function.callback(
        &[&request, &next],
        quote! {
            let #bind = (#name(#(#pass),*).await,);
            #into_response
        },
    );
    let at = (name.span(), name.span());
    let middleware = arguments.call_at("middleware", at, quote!(#run, #order, #all));
    let place = function.place(&krate);
    let part = quote! {
        #private::inventory::submit! {
            #private::MiddlewarePart {
                middleware: || #middleware,
                place: #place,
            }
        }
    };
    // There may be any number of these.
    let constant = format!("__PPIO_MIDDLEWARE_{}", name.unraw());
    function::beside(function, &part, &constant)
}
