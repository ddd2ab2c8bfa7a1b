//! Expands `#[ppio::shutdown]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;

use super::registration::{register, source_location};
use super::reply;
use super::runtime_path::RuntimePath;
use super::states::States;
use super::token_range::{TokenRange, async_closure};
use crate::ast::Function;
use crate::attr::{Arguments, Attribute};
use crate::diagnostics::Diagnostics;
use crate::valid;

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let arguments = Arguments::parse(Attribute::Shutdown, arguments, &mut diagnostics);
    let Some(function) = Function::parse(item) else {
        valid::report_item(Attribute::Shutdown, item, &mut diagnostics);
        return diagnostics.into_tokens(item);
    };
    valid::check_shutdown(&function, &mut diagnostics);
    if diagnostics.is_empty() {
        generate(&RuntimePath::new(&arguments), &function)
    } else {
        diagnostics.into_tokens(function.without_reported())
    }
}

fn generate(runtime: &RuntimePath<'_>, function: &Function) -> TokenStream {
    let private = runtime.private();
    let name = function.name();
    let (name_range, output_range) = (
        TokenRange::of_name(function),
        TokenRange::of_output(function),
    );
    let output = output_range.binding("__output");
    let (bind_output, output) = (output.name, output.value);
    let result = reply::hook_result(runtime, function, &output, Some("shutdown_output"));
    let states = States::new(runtime, function.parameters());
    let (copies, arguments) = (&states.copies, &states.arguments);
    let shutdown = if function.is_async() {
        let code = quote!(let #bind_output = (#name(#(#arguments),*).await,); #result);
        let shutdown = async_closure(function, &[], copies, code);
        runtime.call_at("shutdown_on_worker", name_range, shutdown)
    } else {
        let shutdown = quote! {
            move || {
                #copies
                let #bind_output = (#name(#(#arguments),*),);
                #result
            }
        };
        runtime.call_at("shutdown_on_blocking_thread", name_range, shutdown)
    };
    let shutdown = states.maker(&shutdown);
    let location = source_location(function, runtime);
    let registration = quote! {
        #[allow(unused_imports)]
        use #private::autoref::prelude::*;
        #private::inventory::submit! {
            #private::ShutdownRegistration { shutdown: #shutdown, location: #location }
        }
    };
    // A module can have any number of shutdown functions.
    let constant = format!("__PPIO_SHUTDOWN_{}", name.unraw());
    register(function, &registration, &constant)
}
