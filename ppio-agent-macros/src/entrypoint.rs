//! `#[ppio::entrypoint]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{ItemFn, Type};

use crate::attr::{self, Arguments};
use crate::errors::Errors;
use crate::function;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = attr::ENTRYPOINT.parse(arguments, &mut errors);
    let Some(function) = function::parse(&attr::ENTRYPOINT, &item, &mut errors) else {
        return function::with_errors(errors, item);
    };
    function::check(&attr::ENTRYPOINT, &function, &mut errors);
    let parameters = parameters(&function, &mut errors);
    match parameters {
        Some(parameters) if errors.is_empty() => generate(&arguments, &function, &parameters),
        _ => function::with_errors(errors, function),
    }
}

/// The request, and how the context is passed where it is wanted.
struct Parameters<'a> {
    request: &'a Type,
    context: Option<Context<'a>>,
}

struct Context<'a> {
    ty: &'a Type,
    by_reference: bool,
}

fn parameters<'a>(function: &'a ItemFn, errors: &mut Errors) -> Option<Parameters<'a>> {
    let parameters = function::parameters(function);
    let [request, rest @ ..] = &parameters[..] else {
        if function.sig.receiver().is_none() {
            errors.at(
                &function.sig.ident,
                "the entrypoint takes the request, but this function takes nothing",
                "write `(request: ppio::Value)` or a type of your own that implements `Deserialize`",
            );
        }
        return None;
    };
    if let Type::Reference(reference) = request {
        errors.at(
            reference,
            "the entrypoint owns the request",
            "remove the `&`; for text take a `String`",
        );
    }
    if let Some(third) = rest.get(1) {
        errors.at(
            third,
            "the entrypoint takes the request and the context, nothing else",
            "move what this is for into the request, or into an extension that middleware sets",
        );
    }
    let context = rest.first().map(|&ty| match ty {
        Type::Reference(reference) => {
            if reference.mutability.is_some() {
                errors.at(
                    reference,
                    "the context cannot be changed",
                    "write `&ppio::RequestContext`",
                );
            }
            Context {
                ty: &reference.elem,
                by_reference: true,
            }
        }
        ty => Context {
            ty,
            by_reference: false,
        },
    });
    Some(Parameters { request, context })
}

fn generate(arguments: &Arguments, function: &ItemFn, parameters: &Parameters<'_>) -> TokenStream {
    let krate = arguments.krate();
    let private = quote!(#krate::__private);
    let hidden = Span::mixed_site();
    let request = parameters.request;
    let parse = quote_spanned!(function::hidden(request.span())=> #private::Call::request::<#request>(&mut call)?);

    // The second parameter has to be a `RequestContext` under whatever name; the assertion makes
    // rustc say so at the author's token.
    let (context, pass) = match &parameters.context {
        None => (TokenStream::new(), quote_spanned!(hidden=> request)),
        Some(context) => {
            let ty = context.ty;
            let reference = context.by_reference.then(|| quote!(&));
            let same = quote_spanned! {function::hidden(ty.span())=>
                let context: #ty = #private::context_for::<#ty>(&call);
            };
            (same, quote_spanned!(hidden=> request, #reference context))
        }
    };
    let call = function::call(function, &pass);
    let output = function::hidden(function::output_span(function));
    let start = if function.sig.asyncness.is_some() {
        quote!(on_worker)
    } else {
        quote!(on_blocking_thread)
    };
    let deliver = deliver(&private, &call, output);
    // The future is checked for `Send` at the function's name.
    let start = quote_spanned! {function::hidden(function.sig.ident.span())=>
        #private::Call::#start(call, move |outlet: #private::Outlet| async move { #deliver })
    };

    let config = arguments.config().map_or_else(
        || quote!(::core::option::Option::None),
        |config| {
            let typed = quote_spanned!(function::hidden(config.span())=> { let config: #krate::RuntimeConfig = #config; config });
            quote!(::core::option::Option::Some({
                fn config() -> #krate::RuntimeConfig { #typed }
                config
            }))
        },
    );
    let place = function::place(&krate, &function.sig.ident);
    // At the attribute, so that a second entrypoint in the module is reported there.
    let main = syn::Ident::new("main", Span::call_site());

    quote_spanned! {hidden=>
        #function

        const _: () = {
            fn start(
                mut call: #private::Call,
            ) -> ::core::result::Result<#private::Job, #krate::Error> {
                #[allow(unused_imports)]
                use #private::probe::prelude::*;
                let request = #parse;
                #context
                ::core::result::Result::Ok(#start)
            }
            #private::inventory::submit! {
                #private::EntrypointPart {
                    start,
                    config: #config,
                    place: #place,
                }
            }
        };

        #[allow(dead_code)]
        fn #main() -> ::std::process::ExitCode {
            #krate::run()
        }
    }
}

/// The steps of `ppio::__private::probe`, whose documentation explains them.
fn deliver(private: &TokenStream, call: &TokenStream, output: Span) -> TokenStream {
    let probe = quote!(#private::probe);
    quote_spanned! {output=>
        let output = #call;
        let output = (&&#probe::Probe::of(&output)).future().resolve(output, &outlet).await;
        let output = (&&#probe::Probe::of(&output)).result().split(output);
        let error = (&&&#probe::error_of(&output)).error();
        let output = match output {
            ::core::result::Result::Ok(output) => output,
            ::core::result::Result::Err(failed) => return #probe::fail(error, failed),
        };
        let reply = (&&&&#probe::Probe::of(&output)).reply().shape(output);
        let item = #probe::item_of(&reply);
        let item_error = (&&item).item_error();
        let writer = #probe::ItemWriter::new((&&item).item(), (&&&item_error).error());
        reply.deliver(writer, &outlet).await
    }
}
