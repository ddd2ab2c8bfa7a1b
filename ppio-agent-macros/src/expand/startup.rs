//! Expands `#[ppio::startup]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{ReturnType, Type};

use super::registration::{register, source_location};
use super::reply;
use super::runtime_path::RuntimePath;
use super::token_range::{TokenRange, async_closure};
use crate::ast::Function;
use crate::attr::{Arguments, Attribute};
use crate::diagnostics::Diagnostics;
use crate::valid;

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let arguments = Arguments::parse(Attribute::Startup, arguments, &mut diagnostics);
    let Some(function) = Function::parse(item) else {
        valid::report_item(Attribute::Startup, item, &mut diagnostics);
        return diagnostics.into_tokens(item);
    };
    valid::check_startup(&function, &mut diagnostics);
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
    let result = reply::hook_result(runtime, function, &output, None);
    let (state, check) = match &function.signature.output {
        ReturnType::Default => (quote!(()), None),
        ReturnType::Type(_, ty) if is_named_result(ty) => {
            let result_type = runtime.item_at("ResultType", output_range);
            (quote!(<#ty as #result_type>::State), None)
        }
        ReturnType::Type(_, ty) => {
            let kind = quote!((&&#private::autoref::TypeTag::of(&#output)).result_kind());
            let bound = output_range.binding("__kind");
            let (bind_kind, bound) = (bound.name, bound.value);
            let check = runtime.call_at("no_result", output_range, bound);
            (
                quote!(#ty),
                Some(quote!(let #bind_kind = (#kind,); #check;)),
            )
        }
    };
    let result = quote!(#check #result);
    let startup = if function.is_async() {
        let code = quote!(let #bind_output = (#name().await,); #result);
        let startup = async_closure(function, &[], &TokenStream::new(), code);
        runtime.call_at("startup_on_worker", name_range, startup)
    } else {
        let startup = quote!(|| { let #bind_output = (#name(),); #result });
        runtime.call_at("startup_on_blocking_thread", name_range, startup)
    };
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
    let constant = format!("__PPIO_STARTUP_{}", name.unraw());
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
