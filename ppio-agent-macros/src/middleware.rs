//! `#[ppio::middleware]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use crate::attr;
use crate::errors::Errors;
use crate::function;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = attr::MIDDLEWARE.parse(arguments, &mut errors);
    let Some(function) = function::parse(&attr::MIDDLEWARE, &item, &mut errors) else {
        return function::with_errors(errors, item);
    };
    function::check(&attr::MIDDLEWARE, &function, &mut errors);
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        errors.at(
            signature.fn_token,
            "middleware waits for the rest of the way, so it is asynchronous",
            "write `async fn`",
        );
    }
    let parameters = function::parameters(&function);
    if parameters.len() != 2 && signature.receiver().is_none() {
        let help = "write `(request: ppio::Request, next: ppio::Next)`";
        let wrong = "middleware takes the request and the rest of the way";
        if parameters.is_empty() {
            errors.at(&signature.ident, wrong, help);
        } else {
            errors.at(&signature.inputs, wrong, help);
        }
    }
    if !errors.is_empty() {
        return function::with_errors(errors, function);
    }

    let krate = arguments.krate();
    let private = quote!(#krate::__private);
    let name = &signature.ident;
    let (order, all) = (arguments.order(), arguments.all());
    // Each parameter's type is compared at its own token.
    let checks = parameters
        .iter()
        .zip(["Request", "Next"])
        .map(|(ty, wanted)| {
            let wanted = syn::Ident::new(wanted, ty.span());
            quote_spanned!(ty.span()=> let _: fn(#krate::#wanted) -> #ty = |it| it;)
        });
    let make = quote_spanned! {function::output_span(&function)=>
        #private::Middleware::new(#name, #order, #all)
    };
    let place = function::place(&krate, name);
    quote! {
        #function

        const _: () = {
            fn middleware() -> #private::Middleware {
                #(#checks)*
                #make
            }
            #private::inventory::submit! {
                #private::MiddlewarePart { middleware, place: #place }
            }
        };
    }
}
