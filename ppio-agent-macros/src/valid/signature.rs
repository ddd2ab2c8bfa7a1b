//! Reports what no attribute accepts: qualifiers, generics, a receiver, the name `main`.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{FnArg, GenericParam, Safety};

use crate::ast::Function;
use crate::attr::Attribute;
use crate::diagnostics::Diagnostics;

pub(super) fn check(attribute: Attribute, function: &Function, diagnostics: &mut Diagnostics) {
    let subject = attribute.subject();
    let signature = &function.signature;
    check_runtime_attribute(attribute, function, diagnostics);
    check_qualifiers(subject, function, diagnostics);
    check_generics(subject, function, diagnostics);
    if signature.ident == "main" {
        diagnostics.report(
            &signature.ident,
            &format!("{subject} cannot be named `main`"),
            &format!(
                "rename the function, for example to `{}`; `#[ppio::entrypoint]` generates `main`",
                attribute.example_name()
            ),
        );
    }
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => diagnostics.report(
                receiver,
                &format!("{subject} cannot be a method"),
                "remove `self`, and move the function out of the `impl` block or trait",
            ),
            FnArg::Typed(parameter) => {
                if let Some(token) = find_impl(parameter.ty.to_token_stream()) {
                    diagnostics.report(
                        token,
                        &format!("{subject} cannot have a parameter of type `impl Trait`"),
                        "write a concrete type",
                    );
                }
            }
        }
    }
    if let Some(variadic) = &signature.variadic {
        let message = format!("{subject} cannot be variadic");
        diagnostics.report(variadic, &message, "remove `...`");
    }
}

fn check_runtime_attribute(
    attribute: Attribute,
    function: &Function,
    diagnostics: &mut Diagnostics,
) {
    if let Some(runtime) = function.runtime_attribute() {
        let path = runtime
            .path()
            .to_token_stream()
            .to_string()
            .replace(' ', "");
        diagnostics.report(
            runtime,
            &format!(
                "`#[{path}]` cannot be combined with `#[{}]`",
                attribute.path()
            ),
            &format!("remove `#[{path}]`; `ppio` starts the tokio runtime"),
        );
    }
}

fn check_qualifiers(subject: &str, function: &Function, diagnostics: &mut Diagnostics) {
    let signature = &function.signature;
    if let Some(token) = &signature.constness {
        let message = format!("{subject} cannot be a `const fn`");
        diagnostics.report(token, &message, "remove `const`");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        diagnostics.report(
            token,
            &format!("{subject} cannot be an `unsafe fn`"),
            "remove `unsafe`, and write an `unsafe` block in the body",
        );
    }
    if let Some(abi) = &signature.abi {
        let message = format!("{subject} cannot be an `extern fn`");
        diagnostics.report(abi, &message, "remove `extern`");
    }
}

/// Reports generic types and constants, which are not inferred where the function is called, unlike
/// lifetimes.
fn check_generics(subject: &str, function: &Function, diagnostics: &mut Diagnostics) {
    let generics = &function.signature.generics;
    let mut has_parameters = false;
    for parameter in &generics.params {
        let help = match parameter {
            GenericParam::Lifetime(_) => continue,
            GenericParam::Type(_) => "remove the parameter, and write a concrete type",
            GenericParam::Const(_) => "remove the parameter, and write a constant",
        };
        let message = format!("{subject} cannot have generic parameters");
        diagnostics.report(parameter, &message, help);
        has_parameters = true;
    }
    // The clause of a generic function is removed with its parameters.
    if let Some(clause) = &generics.where_clause
        && !has_parameters
    {
        let message = format!("{subject} cannot have a `where` clause");
        diagnostics.report(clause, &message, "remove the `where` clause");
    }
}

/// Returns the first `impl` of a type, at any depth.
pub(super) fn find_impl(tokens: TokenStream) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) if ident == "impl" => Some(ident),
        TokenTree::Group(group) => find_impl(group.stream()),
        _ => None,
    })
}
