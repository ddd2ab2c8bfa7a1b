//! Expands `#[ppio::routes]`.

use proc_macro2::TokenStream;
use quote::quote;

use super::plain::{self, RunsOn};
use super::registration::{register, source_location};
use super::reply;
use super::runtime_path::RuntimePath;
use super::states::StateArguments;
use super::token_range::TokenRange;
use crate::ast::Function;
use crate::attr::Attribute;
use crate::valid;

/// The name of the generated constant, which `rustc` shows if a module has two routes functions.
const CONSTANT: &str = "AN_AGENT_HAS_ONE_ROUTES_FUNCTION_REMOVE_THE_OTHER";

const RUNS_ON: RunsOn = RunsOn {
    worker: "routes_on_worker",
    blocking_thread: "routes_on_blocking_thread",
};

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let check = valid::check_routes;
    plain::expand(Attribute::Routes, arguments, item, check, generate)
}

fn generate(runtime: &RuntimePath<'_>, function: &Function) -> TokenStream {
    let private = runtime.private();
    let output = TokenRange::of_output(function).binding("__output");
    let result = reply::hook_result(runtime, function, &output.value, Some("into_routes"));
    let states = StateArguments::new(runtime, function.parameters());
    let handler = plain::handler(runtime, function, &states, &output, &result, &RUNS_ON);
    let routes = states.maker(&handler);
    let location = source_location(function, runtime);
    let registration = quote! {
        #[allow(unused_imports)]
        use #private::autoref::prelude::*;
        #private::inventory::submit! {
            #private::RoutesRegistration { routes: #routes, location: #location }
        }
    };
    register(function, &registration, CONSTANT)
}
