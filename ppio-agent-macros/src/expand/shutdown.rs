//! Expands `#[ppio::shutdown]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;

use super::plain::{self, RunsOn};
use super::registration::{register, source_location};
use super::reply;
use super::runtime_path::RuntimePath;
use super::states::StateArguments;
use super::token_range::TokenRange;
use crate::ast::Function;
use crate::attr::Attribute;
use crate::valid;

const RUNS_ON: RunsOn = RunsOn {
    worker: "shutdown_on_worker",
    blocking_thread: "shutdown_on_blocking_thread",
};

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let check = valid::check_shutdown;
    plain::expand(Attribute::Shutdown, arguments, item, check, generate)
}

fn generate(runtime: &RuntimePath<'_>, function: &Function) -> TokenStream {
    let private = runtime.private();
    let output = TokenRange::of_output(function).binding("__output");
    let result = reply::hook_result(runtime, function, &output.value, Some("shutdown_output"));
    let states = StateArguments::new(runtime, function.parameters());
    let handler = plain::handler(runtime, function, &states, &output, &result, &RUNS_ON);
    let shutdown = states.maker(&handler);
    let location = source_location(function, runtime);
    let registration = quote! {
        #[allow(unused_imports)]
        use #private::autoref::prelude::*;
        #private::inventory::submit! {
            #private::ShutdownRegistration { shutdown: #shutdown, location: #location }
        }
    };
    // A module can have any number of shutdown functions.
    let constant = format!("__PPIO_SHUTDOWN_{}", function.name().unraw());
    register(function, &registration, &constant)
}
