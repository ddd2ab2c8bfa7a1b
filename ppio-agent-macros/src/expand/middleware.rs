//! Expands `#[ppio::middleware]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;

use super::registration::{register, source_location};
use super::runtime_path::RuntimePath;
use super::states::StateArguments;
use super::token_range::{TokenRange, async_closure, variable};
use crate::ast::Function;
use crate::attr::{Attribute, AttributeArguments};
use crate::diagnostics::Diagnostics;
use crate::valid::{self, MiddlewareParameter, MiddlewareParameters};

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let arguments = AttributeArguments::parse(Attribute::Middleware, arguments, &mut diagnostics);
    let Some(function) = Function::parse(item) else {
        valid::report_item(Attribute::Middleware, item, &mut diagnostics);
        return diagnostics.into_tokens(item);
    };
    let parameters = valid::check_middleware(&function, &mut diagnostics);
    if let Some(parameters) = parameters
        && diagnostics.is_empty()
    {
        return generate(&arguments, &function, &parameters);
    }
    diagnostics.into_tokens(function.without_reported())
}

fn generate(
    arguments: &AttributeArguments,
    function: &Function,
    parameters: &MiddlewareParameters<'_>,
) -> TokenStream {
    let runtime = RuntimePath::new(arguments);
    let private = runtime.private();
    let name = function.name();
    // Each argument is converted at its parameter's type, where `rustc` reports a wrong type.
    let request = variable(function, "__request");
    let next = variable(function, "__next");
    let pass_request = runtime.call_at(
        "pass_request",
        TokenRange::of(parameters.request),
        quote!(#request),
    );
    let states = parameters.rest.iter().filter_map(|it| match it {
        MiddlewareParameter::Next(_) => None,
        MiddlewareParameter::State(ty) => Some(*ty),
    });
    let states = StateArguments::new(&runtime, states);
    let mut state_arguments = states.arguments.iter();
    let rest = parameters.rest.iter().map(|it| match it {
        MiddlewareParameter::Next(ty) => {
            Some(runtime.call_at("pass_next", TokenRange::of(ty), quote!(#next)))
        }
        MiddlewareParameter::State(_) => state_arguments.next().cloned(),
    });
    let output_range = TokenRange::of_output(function);
    let output = output_range.binding("__output");
    let (bind_output, value) = (output.name, output.value);
    let into_response = runtime.call_at("into_response", output_range, value);
    let run = async_closure(
        function,
        &[&request, &next],
        &states.copies,
        quote! {
            let #bind_output = (#name(#pass_request #(, #rest)*).await,);
            #into_response
        },
    );
    let (order, all) = (arguments.order, arguments.all);
    let name_range = TokenRange::of_name(function);
    let middleware = runtime.call_at("middleware", name_range, quote!(#run, #order, #all));
    let middleware = states.maker(&middleware);
    let location = source_location(function, &runtime);
    let registration = quote! {
        #private::inventory::submit! {
            #private::MiddlewareRegistration {
                middleware: #middleware,
                location: #location,
            }
        }
    };
    // A module can have any number of middleware functions.
    let constant = format!("__PPIO_MIDDLEWARE_{}", name.unraw());
    register(function, &registration, &constant)
}
