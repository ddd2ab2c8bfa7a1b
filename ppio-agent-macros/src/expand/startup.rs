//! Expands `#[ppio::startup]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{ReturnType, Type};

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
    worker: "startup_on_worker",
    blocking_thread: "startup_on_blocking_thread",
};

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let check = valid::check_startup;
    plain::expand(Attribute::Startup, arguments, item, check, generate)
}

fn generate(runtime: &RuntimePath<'_>, function: &Function) -> TokenStream {
    let private = runtime.private();
    let output_range = TokenRange::of_output(function);
    let output = output_range.binding("__output");
    let value = &output.value;
    let result = reply::hook_result(runtime, function, value, None);
    let (state, check) = match &function.signature.output {
        ReturnType::Default => (quote!(()), None),
        ReturnType::Type(_, ty) if is_named_result(ty) => {
            let result_type = runtime.item_at("ResultType", output_range);
            (quote!(<#ty as #result_type>::State), None)
        }
        ReturnType::Type(_, ty) => {
            let kind = quote!((&&#private::autoref::TypeTag::of(&#value)).result_kind());
            let bound = output_range.binding("__kind");
            let (bind_kind, bound) = (bound.name, bound.value);
            let check = runtime.call_at("require_non_result", output_range, bound);
            (
                quote!(#ty),
                Some(quote!(let #bind_kind = (#kind,); #check;)),
            )
        }
    };
    let result = quote!(#check #result);
    let states = StateArguments::default();
    let startup = plain::handler(runtime, function, &states, &output, &result, &RUNS_ON);
    let location = source_location(function, runtime);
    let registration = quote! {
        #[allow(unused_imports)]
        use #private::autoref::prelude::*;
        #[allow(dead_code)]
        pub struct __PpioStartup;
        impl #private::Built<__PpioStartup> for #state {}
        #private::inventory::submit! {
            #private::StartupRegistration { startup: || #startup, location: #location }
        }
    };
    // A module can have any number of startup functions.
    let constant = format!("__PPIO_STARTUP_{}", function.name().unraw());
    register(function, &registration, &constant)
}

/// Whether the last segment of a path is `Result`, as in `anyhow::Result<T>`.
fn is_named_result(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.is_some_and(|segment| segment.ident == "Result")
        }
        Type::Group(group) => is_named_result(&group.elem),
        Type::Paren(group) => is_named_result(&group.elem),
        _ => false,
    }
}
