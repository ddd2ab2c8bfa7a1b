//! The function under an attribute: what all three attributes ask of it.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{FnArg, Ident, ItemFn, ReturnType, Type};

use crate::attr::Attribute;
use crate::errors::Errors;

/// Parses the item under the attribute, which has to be a free function.
pub(crate) fn parse(
    attribute: &Attribute,
    item: &TokenStream,
    errors: &mut Errors,
) -> Option<ItemFn> {
    let name = attribute.name;
    match syn::parse2::<ItemFn>(item.clone()) {
        Ok(function) => Some(function),
        Err(error) => {
            match syn::parse2::<syn::Item>(item.clone()) {
                // A function by its first tokens, but with a mistake inside: the parser knows best.
                Ok(syn::Item::Verbatim(_)) | Err(_)
                    if syn::parse2::<syn::TraitItemFn>(item.clone()).is_err() =>
                {
                    errors.push(error);
                }
                _ => errors.at(
                    item,
                    &format!("`#[ppio::{name}]` goes on a function with a body"),
                    &format!("write a free function and put `#[ppio::{name}]` on it"),
                ),
            }
            None
        }
    }
}

/// Checks what no attribute allows: qualifiers, generics, a receiver, the name `main`.
pub(crate) fn check(attribute: &Attribute, function: &ItemFn, errors: &mut Errors) {
    let name = attribute.name;
    let signature = &function.sig;
    if let Some(token) = &signature.constness {
        errors.at(
            token,
            &format!("the {name} cannot be a `const` function"),
            "remove `const`",
        );
    }
    if let Some(token) = &signature.unsafety {
        errors.at(
            token,
            &format!("the {name} cannot be an `unsafe` function: the server calls it"),
            "remove `unsafe`, and use an `unsafe` block inside where it is needed",
        );
    }
    if let Some(abi) = &signature.abi {
        errors.at(
            abi,
            &format!("the {name} cannot be an `extern` function"),
            "remove `extern`",
        );
    }
    if let Some(variadic) = &signature.variadic {
        errors.at(
            variadic,
            &format!("the {name} cannot be variadic"),
            "remove `...`",
        );
    }
    if !signature.generics.params.is_empty() {
        errors.at(
            &signature.generics,
            &format!("the {name} cannot be generic: nobody chooses the types"),
            "write the concrete types",
        );
    } else if let Some(clause) = &signature.generics.where_clause {
        errors.at(
            clause,
            &format!("the {name} cannot have a `where` clause"),
            "write the concrete types",
        );
    }
    if signature.ident == "main" {
        errors.at(
            &signature.ident,
            &format!(
                "the {name} cannot be called `main`: `#[ppio::entrypoint]` writes that function"
            ),
            "call it `agent`",
        );
    }
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => errors.at(
                receiver,
                &format!("the {name} cannot be a method"),
                "write a free function",
            ),
            FnArg::Typed(parameter) => {
                if let Some(token) = impl_trait(&parameter.ty) {
                    errors.at(
                        token,
                        "`impl Trait` in a parameter is generic: nobody chooses the type",
                        "write the concrete type",
                    );
                }
            }
        }
    }
}

/// The parameters without a receiver.
pub(crate) fn parameters(function: &ItemFn) -> Vec<&Type> {
    function
        .sig
        .inputs
        .iter()
        .filter_map(|input| match input {
            FnArg::Typed(parameter) => Some(&*parameter.ty),
            FnArg::Receiver(_) => None,
        })
        .collect()
}

fn impl_trait(ty: &Type) -> Option<&Type> {
    match ty {
        Type::ImplTrait(_) => Some(ty),
        Type::Reference(reference) => impl_trait(&reference.elem),
        Type::Paren(inner) => impl_trait(&inner.elem),
        _ => None,
    }
}

/// Where a complaint about the function's result belongs.
pub(crate) fn output_span(function: &ItemFn) -> Span {
    match &function.sig.output {
        ReturnType::Default => function.sig.ident.span(),
        ReturnType::Type(_, ty) => ty.span(),
    }
}

/// A span for code of ours at the author's tokens: reported there, but with names that cannot meet
/// the author's.
pub(crate) fn hidden(span: Span) -> Span {
    span.resolved_at(Span::mixed_site())
}

/// `name(..)`, and `.await` where the function is asynchronous.
pub(crate) fn call(function: &ItemFn, arguments: &TokenStream) -> TokenStream {
    let name = &function.sig.ident;
    let span = hidden(output_span(function));
    let await_ = function
        .sig
        .asyncness
        .map(|_| quote_spanned!(span=> .await));
    quote_spanned!(span=> #name(#arguments) #await_)
}

/// The `Place` of the function.
pub(crate) fn place(krate: &TokenStream, name: &Ident) -> TokenStream {
    let text = name.to_string();
    quote! {
        #krate::__private::Place {
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
            module: ::core::module_path!(),
            function: #text,
        }
    }
}

/// The function as it was written, or what can be kept of it, behind the errors. Keeping it spares
/// the author complaints about a function that is "not found".
pub(crate) fn with_errors(errors: Errors, item: impl ToTokens) -> TokenStream {
    let errors = errors.into_compile_errors();
    quote!(#errors #item)
}
