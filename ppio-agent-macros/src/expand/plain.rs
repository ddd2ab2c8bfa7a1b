//! The expansion that is shared by the attributes whose functions take only states.

use proc_macro2::TokenStream;
use quote::quote;

use super::runtime_path::RuntimePath;
use super::states::StateArguments;
use super::token_range::{Binding, TokenRange, async_closure};
use crate::ast::Function;
use crate::attr::{Attribute, AttributeArguments};
use crate::diagnostics::Diagnostics;
use crate::valid;

/// Expands an attribute: `generate` for a function that passes `check`, otherwise the errors.
pub(super) fn expand(
    attribute: Attribute,
    arguments: TokenStream,
    item: &TokenStream,
    check: impl FnOnce(&Function, &mut Diagnostics),
    generate: impl FnOnce(&RuntimePath<'_>, &Function) -> TokenStream,
) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let arguments = AttributeArguments::parse(attribute, arguments, &mut diagnostics);
    let Some(function) = Function::parse(item) else {
        valid::report_item(attribute, item, &mut diagnostics);
        return diagnostics.into_tokens(item);
    };
    check(&function, &mut diagnostics);
    if diagnostics.is_empty() {
        generate(&RuntimePath::new(&arguments), &function)
    } else {
        diagnostics.into_tokens(function.without_reported())
    }
}

/// The functions of the runtime that take the closure of an `async` function and of a plain one.
pub(super) struct RunsOn {
    pub(super) worker: &'static str,
    pub(super) blocking_thread: &'static str,
}

/// Returns the handler that calls the function with its states. `result` is the code that converts
/// `output`, the value that the function returns.
pub(super) fn handler(
    runtime: &RuntimePath<'_>,
    function: &Function,
    states: &StateArguments,
    output: &Binding,
    result: &TokenStream,
    runs_on: &RunsOn,
) -> TokenStream {
    let (name, output) = (function.name(), &output.name);
    let (copies, arguments) = (&states.copies, &states.arguments);
    let range = TokenRange::of_name(function);
    if function.is_async() {
        let code = quote!(let #output = (#name(#(#arguments),*).await,); #result);
        let closure = async_closure(function, &[], copies, code);
        runtime.call_at(runs_on.worker, range, closure)
    } else {
        let closure = quote! {
            move || {
                #copies
                let #output = (#name(#(#arguments),*),);
                #result
            }
        };
        runtime.call_at(runs_on.blocking_thread, range, closure)
    }
}
