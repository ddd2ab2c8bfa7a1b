//! Expands `#[ppio::ping]`.

use proc_macro2::TokenStream;
use quote::quote;

use super::plain::{self, RunsOn};
use super::registration::{register, source_location};
use super::runtime_path::RuntimePath;
use super::states::StateArguments;
use super::token_range::TokenRange;
use crate::ast::Function;
use crate::attr::Attribute;
use crate::valid;

/// The name of the generated constant, which `rustc` shows if a module has two pings.
const CONSTANT: &str = "AN_AGENT_HAS_ONE_PING_REMOVE_THE_OTHER";

const RUNS_ON: RunsOn = RunsOn {
    worker: "ping_on_worker",
    blocking_thread: "ping_on_blocking_thread",
};

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    plain::expand(
        Attribute::Ping,
        arguments,
        item,
        valid::check_ping,
        generate,
    )
}

fn generate(runtime: &RuntimePath<'_>, function: &Function) -> TokenStream {
    let private = runtime.private();
    let output_range = TokenRange::of_output(function);
    let output = output_range.binding("__output");
    let into_ping = runtime.call_at("into_ping", output_range, output.value.clone());
    let states = StateArguments::new(runtime, function.parameters());
    let handler = plain::handler(runtime, function, &states, &output, &into_ping, &RUNS_ON);
    let ping = states.maker(&handler);
    let location = source_location(function, runtime);
    let registration = quote! {
        #private::inventory::submit! {
            #private::PingRegistration { ping: #ping, location: #location }
        }
    };
    register(function, &registration, CONSTANT)
}
