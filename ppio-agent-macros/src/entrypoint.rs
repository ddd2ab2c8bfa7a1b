//! `#[ppio::entrypoint]`.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Type;

use crate::attr::{self, Arguments};
use crate::errors::Errors;
use crate::function::{self, Function, ends};

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = attr::ENTRYPOINT.parse(arguments, &mut errors);
    let Some(function) = Function::parse(attr::ENTRYPOINT.name, item, &mut errors) else {
        let main = function::is_bodiless(item).is_none().then(no_main);
        return function::with_errors(errors, quote!(#item #main));
    };
    function.check(attr::ENTRYPOINT.name, &mut errors);
    let parameters = Parameters::of(&function, &mut errors);
    if let Some(parameters) = parameters
        && errors.is_empty()
    {
        return generate(&arguments, &function, &parameters);
    }
    let main = (!function.is_method()).then(no_main);
    let function = function.kept();
    function::with_errors(errors, quote!(#function #main))
}

struct Parameters<'a> {
    request: &'a Type,
    context: Option<&'a Type>,
}

impl<'a> Parameters<'a> {
    fn of(function: &'a Function, errors: &mut Errors) -> Option<Self> {
        let parameters = function.parameters();
        let [request, rest @ ..] = &parameters[..] else {
            if !function.is_method() {
                errors.at(
                    function.name(),
                    "the entrypoint takes the request, but this function takes nothing",
                    "write `(request: ppio::Value)`, or a type of your own that implements `Deserialize`",
                );
            }
            return None;
        };
        if let Some(borrowed) = borrow(request) {
            errors.at(
                borrowed,
                "the entrypoint owns the request, which cannot borrow from anything",
                "take an owned type: `String` for `&str`, `Vec<T>` for `&[T]`",
            );
        }
        let context = rest.first().copied();
        if let Some(Type::Reference(reference)) = context
            && let Some(mutability) = &reference.mutability
        {
            errors.at(
                mutability,
                "the context cannot be changed",
                "write `&ppio::RequestContext`",
            );
        }
        for more in rest.iter().skip(1) {
            errors.at(
                more,
                "the entrypoint takes the request and the context, nothing else",
                "move what this is for into the request, into an extension that middleware sets, or into a `static`",
            );
        }
        Some(Self { request, context })
    }
}

/// The reference or the lifetime in a type.
fn borrow(ty: &Type) -> Option<TokenStream> {
    if let Type::Reference(reference) = ty {
        return Some(reference.to_token_stream());
    }
    find_lifetime(ty.to_token_stream())
}

fn find_lifetime(tokens: TokenStream) -> Option<TokenStream> {
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(quote) if quote.as_char() == '\'' => {
                let name = tokens.next();
                // A `'static` request borrows from nothing; whether it can be read, rustc knows.
                if !matches!(&name, Some(TokenTree::Ident(name)) if name == "static") {
                    return Some(quote!(#quote #name));
                }
            }
            TokenTree::Group(group) => {
                if let Some(found) = find_lifetime(group.stream()) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    None
}

fn generate(
    arguments: &Arguments,
    function: &Function,
    parameters: &Parameters<'_>,
) -> TokenStream {
    let krate = arguments.krate();
    let private = quote!(#krate::__private);
    let request = {
        // A type that cannot be parsed is reported where it stands.
        let ty = parameters.request;
        let request = arguments.private_at("request", ends(ty));
        quote!(#request::<#ty>)
    };
    let bind_context = parameters
        .context
        .map(|_| quote!(let __context = #private::context(&__call);));
    let pass_context = parameters.context.map(|ty| {
        let context = arguments.call_at("pass_context", ends(ty), quote!(&__context));
        quote!(, #context)
    });
    let name = function.name();
    let (start, await_) = if function.is_async() {
        ("on_worker", Some(quote!(.await)))
    } else {
        ("on_blocking_thread", None)
    };
    let answer = answer(arguments, function);
    let (bind_output, output) = function.output().variable("__output");
    let (bind_borrowed, borrowed) = function.output().variable("__borrowed");
    let outlet = function.variable("__outlet");
    let run = function.callback(
        &[&outlet],
        quote! {
            let __outlet = #outlet;
            let __reply = {
                let #bind_output = (#name(__request #pass_context) #await_,);
                let __kind = (&&#private::probe::Probe::of(&#output)).probe_future();
                let #bind_borrowed = (&#output,);
                __kind.check(#borrowed);
                __kind.then(#output, &__outlet, #answer)
            };
            __reply.await.deliver(&__outlet).await
        },
    );
    // Also at the name, for the same reason.
    let start = arguments.call_at(start, (name.span(), name.span()), quote!(__call, #run));
    let config = arguments.config().map_or_else(
        || quote!(::core::option::Option::None),
        |config| quote!(::core::option::Option::Some(|| #config)),
    );
    let place = function.place(&krate);
    let part = quote! {
        #[allow(unused_imports)]
        use #private::probe::prelude::*;
        #private::inventory::submit! {
            #private::EntrypointPart {
                start: |mut __call| {
                    let __request = #request(&mut __call)?;
                    #bind_context
                    ::core::result::Result::Ok(#start)
                },
                config: #config,
                place: #place,
            }
        }
    };
    let entrypoint = function::beside(
        function,
        &part,
        "A_SERVICE_HAS_ONE_ENTRYPOINT_REMOVE_THE_OTHER",
    );
    let conditions = function.conditions();
    let main = main_calling(&quote!(#krate::run()));
    quote!(#entrypoint #conditions #main)
}

/// The closure that makes the author's answer a reply: the steps of `ppio::__private::probe`,
/// whose documentation explains them.
fn answer(arguments: &Arguments, function: &Function) -> TokenStream {
    let krate = arguments.krate();
    let private = quote!(#krate::__private);
    let probe = quote!(#private::probe);
    let output = function.output();
    let fail = arguments.private_at("fail", output.ends());
    let (bind_answer, answer) = output.variable("__answer");
    let (bind_error, error) = output.variable("__error");
    let split = quote! {
        let __split = (&&#probe::Probe::of(&#answer)).probe_result().split(#answer);
        let #bind_error = ((&&&&&#probe::error_of(&__split)).probe_error(),);
        let #bind_answer = match __split {
            ::core::result::Result::Ok(__answer) => __answer,
            ::core::result::Result::Err((__failure,)) => return #fail(#error, __failure),
        };
    };
    quote! {
        |#bind_answer| {
            // Twice, because the error of a `Result` in a `Result` is an error as well.
            #split
            #split
            let __shape = (&&&&#probe::Probe::of(&#answer)).probe_reply();
            let __shape = __shape.shape(#answer, &__outlet);
            let #bind_answer = (#probe::item_of(&__shape),);
            let #bind_error = ((&&&&&(&&#answer).probe_item_error()).probe_error(),);
            let __writer = (&&#answer).probe_item().writer(#answer, #error);
            #probe::reply(__shape, __writer)
        }
    }
}

/// A `main` behind errors; without one there would be one more, about nothing that the author did.
fn no_main() -> TokenStream {
    main_calling(&quote!(::core::unreachable!()))
}

fn main_calling(run: &TokenStream) -> TokenStream {
    // At the attribute, so that a second entrypoint in the module is reported there.
    let main = Ident::new("main", Span::call_site());
    quote! {
        #[allow(dead_code)]
        fn #main() -> ::std::process::ExitCode {
            #run
        }
    }
}
