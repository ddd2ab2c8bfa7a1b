//! Expands `#[ppio::websocket]`.

use proc_macro2::TokenStream;
use quote::quote;

use super::further_parameters::FurtherParameters;
use super::registration::{register, source_location};
use super::reply;
use super::runtime_path::RuntimePath;
use super::token_range::{TokenRange, async_closure, variable};
use crate::ast::Function;
use crate::attr::{Attribute, AttributeArguments};
use crate::diagnostics::Diagnostics;
use crate::valid::{self, WebSocketParameters};

/// The name of the generated constant, which `rustc` shows if a module has two functions for
/// WebSockets.
const CONSTANT: &str = "AN_AGENT_HAS_ONE_WEBSOCKET_REMOVE_THE_OTHER";

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let arguments = AttributeArguments::parse(Attribute::WebSocket, arguments, &mut diagnostics);
    let Some(function) = Function::parse(item) else {
        valid::report_item(Attribute::WebSocket, item, &mut diagnostics);
        return diagnostics.into_tokens(item);
    };
    let parameters = valid::check_websocket(&function, &mut diagnostics);
    if let Some(parameters) = parameters
        && diagnostics.is_empty()
    {
        return generate(&RuntimePath::new(&arguments), &function, &parameters);
    }
    diagnostics.into_tokens(function.without_reported())
}

fn generate(
    runtime: &RuntimePath<'_>,
    function: &Function,
    parameters: &WebSocketParameters<'_>,
) -> TokenStream {
    let private = runtime.private();
    let name = function.name();
    let call = variable(function, "__call");
    let further = FurtherParameters::new(
        runtime,
        &parameters.rest,
        &quote!(#call),
        "pass_socket_parameter",
    );
    let FurtherParameters {
        sources,
        values,
        arguments,
    } = &further;
    let socket = TokenRange::of(parameters.socket);
    let pass_socket = runtime.call_at("pass_socket", socket, quote!(#call));
    let output = TokenRange::of_output(function).binding("__output");
    let result = reply::hook_result(runtime, function, &output.value, Some("websocket_output"));
    let output = output.name;
    let run = async_closure(
        function,
        &[&call],
        values,
        quote! {
            let #output = (#name(#pass_socket #arguments).await,);
            #result
        },
    );
    let range = TokenRange::of_name(function);
    let handler = runtime.call_at("websocket_handler", range, run);
    let states = if sources.is_empty() {
        quote!(_)
    } else {
        quote!(__states)
    };
    let location = source_location(function, runtime);
    let registration = quote! {
        #private::websocket_registration! {
            #[allow(unused_imports)]
            use #private::autoref::prelude::*;
            #private::inventory::submit! {
                #private::WebSocketRegistration {
                    websocket: |#states| {
                        #sources
                        #handler
                    },
                    location: #location,
                }
            }
        }
    };
    register(function, &registration, CONSTANT)
}
