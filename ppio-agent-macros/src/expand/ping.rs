//! Expands `#[ppio::ping]`.

use proc_macro2::TokenStream;
use quote::quote;

use super::registration::{register, source_location};
use super::runtime_path::RuntimePath;
use super::states::States;
use super::token_range::{TokenRange, async_closure};
use crate::ast::Function;
use crate::attr::{Arguments, Attribute};
use crate::diagnostics::Diagnostics;
use crate::valid;

/// `rustc` shows this name if a module has two pings.
const CONSTANT: &str = "AN_AGENT_HAS_ONE_PING_REMOVE_THE_OTHER";

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let arguments = Arguments::parse(Attribute::Ping, arguments, &mut diagnostics);
    let Some(function) = Function::parse(item) else {
        valid::report_item(Attribute::Ping, item, &mut diagnostics);
        return diagnostics.into_tokens(item);
    };
    valid::check_ping(&function, &mut diagnostics);
    if diagnostics.is_empty() {
        generate(&RuntimePath::new(&arguments), &function)
    } else {
        diagnostics.into_tokens(function.without_reported())
    }
}

fn generate(runtime: &RuntimePath<'_>, function: &Function) -> TokenStream {
    let private = runtime.private();
    let name = function.name();
    let output_range = TokenRange::of_output(function);
    let output = output_range.binding("__output");
    let (bind_output, value) = (output.name, output.value);
    let into_ping = runtime.call_at("into_ping", output_range, value);
    let name_range = TokenRange::of_name(function);
    let states = States::new(runtime, function.parameters());
    let (copies, arguments) = (&states.copies, &states.arguments);
    let handler = if function.is_async() {
        let code = quote!(let #bind_output = (#name(#(#arguments),*).await,); #into_ping);
        let check = async_closure(function, &[], copies, code);
        runtime.call_at("ping_on_worker", name_range, check)
    } else {
        let check = quote! {
            move || {
                #copies
                let #bind_output = (#name(#(#arguments),*),);
                #into_ping
            }
        };
        runtime.call_at("ping_on_blocking_thread", name_range, check)
    };
    let ping = states.maker(&handler);
    let location = source_location(function, runtime);
    let registration = quote! {
        #private::inventory::submit! {
            #private::PingRegistration { ping: #ping, location: #location }
        }
    };
    register(function, &registration, CONSTANT)
}
