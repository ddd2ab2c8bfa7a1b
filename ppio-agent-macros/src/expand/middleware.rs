//! Expands `#[ppio::middleware]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;

use super::registration::{register, source_location};
use super::runtime_path::RuntimePath;
use super::token_range::{TokenRange, async_closure, variable};
use crate::ast::Function;
use crate::attr::{Arguments, Attribute};
use crate::diagnostics::Diagnostics;
use crate::valid;

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let arguments = Arguments::parse(Attribute::Middleware, arguments, &mut diagnostics);
    let Some(function) = Function::parse(item) else {
        valid::report_item(Attribute::Middleware, item, &mut diagnostics);
        return diagnostics.into_tokens(item);
    };
    valid::check_middleware(&function, &mut diagnostics);
    if diagnostics.is_empty() {
        generate(&arguments, &function)
    } else {
        diagnostics.into_tokens(function.without_reported())
    }
}

fn generate(arguments: &Arguments, function: &Function) -> TokenStream {
    let runtime = RuntimePath::new(arguments);
    let private = runtime.private();
    let name = function.name();
    // Each argument is converted at its parameter's type, where `rustc` reports a wrong type.
    let request = variable(function, "__request");
    let next = variable(function, "__next");
    let call_arguments = function
        .parameters()
        .into_iter()
        .zip([("pass_request", &request), ("pass_next", &next)])
        .map(|(ty, (pass, value))| runtime.call_at(pass, TokenRange::of(ty), quote!(#value)));
    let output_range = TokenRange::of_output(function);
    let output = output_range.binding("__output");
    let (bind_output, value) = (output.name, output.value);
    let into_response = runtime.call_at("into_response", output_range, value);
    let run = async_closure(
        function,
        &[&request, &next],
        quote! {
            let #bind_output = (#name(#(#call_arguments),*).await,);
            #into_response
        },
    );
    let (order, all) = (arguments.order, arguments.all);
    let name_range = TokenRange::of_name(function);
    let middleware = runtime.call_at("middleware", name_range, quote!(#run, #order, #all));
    let location = source_location(function, &runtime);
    let registration = quote! {
        #private::inventory::submit! {
            #private::MiddlewareRegistration {
                middleware: || #middleware,
                location: #location,
            }
        }
    };
    // A module can have any number of middleware functions.
    let constant = format!("__PPIO_MIDDLEWARE_{}", name.unraw());
    register(function, &registration, &constant)
}
