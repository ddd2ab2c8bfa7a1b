//! Expands `#[ppio::entrypoint]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::Type;

use super::further_parameters::FurtherParameters;
use super::registration::{register, source_location};
use super::reply;
use super::runtime_path::RuntimePath;
use super::token_range::{TokenRange, async_closure, variable};
use crate::ast::{Function, MisplacedItem};
use crate::attr::{Attribute, AttributeArguments};
use crate::diagnostics::Diagnostics;
use crate::valid::{self, EntrypointParameters};

/// The name of the generated constant, which `rustc` shows if a module has two entrypoints.
const CONSTANT: &str = "AN_AGENT_HAS_ONE_ENTRYPOINT_REMOVE_THE_OTHER";

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let arguments = AttributeArguments::parse(Attribute::Entrypoint, arguments, &mut diagnostics);
    let Some(function) = Function::parse(item) else {
        valid::report_item(Attribute::Entrypoint, item, &mut diagnostics);
        let in_trait = MisplacedItem::of(item).0 == MisplacedItem::FunctionWithoutBody;
        let main = (!in_trait).then(unreachable_main);
        return diagnostics.into_tokens(quote!(#item #main));
    };
    let parameters = valid::check_entrypoint(&function, &mut diagnostics);
    if let Some(parameters) = parameters
        && diagnostics.is_empty()
    {
        return generate(&arguments, &function, &parameters);
    }
    let main = (!function.has_receiver()).then(unreachable_main);
    let function = function.without_reported();
    diagnostics.into_tokens(quote!(#function #main))
}

fn generate(
    arguments: &AttributeArguments,
    function: &Function,
    parameters: &EntrypointParameters<'_>,
) -> TokenStream {
    let runtime = RuntimePath::new(arguments);
    let private = runtime.private();
    let parse_request = parse_request(&runtime, parameters.request);
    let call = quote!(__call);
    let further = FurtherParameters::new(&runtime, &parameters.rest, &call, "pass_parameter");
    let start = start(&runtime, function, &further);
    let FurtherParameters {
        sources, values, ..
    } = &further;
    let (states, move_) = if sources.is_empty() {
        (quote!(_), None)
    } else {
        (quote!(__states), Some(quote!(move)))
    };
    let config = config(&runtime, arguments);
    let location = source_location(function, &runtime);
    let info = agent_info(function, &runtime);
    let (name, request) = (function.name(), parameters.request);
    let registration = quote! {
        #[allow(unused_imports)]
        use #private::autoref::prelude::*;
        #private::inventory::submit! {
            #private::EntrypointRegistration {
                handler: |#states| {
                    #sources
                    #private::handler(#move_ |mut __call| {
                        let __request = #parse_request(&mut __call)?;
                        #values
                        ::core::result::Result::Ok(#start)
                    })
                },
                info: #info,
                schema: #private::entrypoint_schema!(#name, #request),
                config: #config,
                location: #location,
            }
        }
    };
    let entrypoint = register(function, &registration, CONSTANT);
    let cfg_attributes = function.cfg_attributes();
    let root = runtime.root();
    let main = main_function(&quote!(#root::run()));
    quote!(#entrypoint #(#cfg_attributes)* #main)
}

/// Returns the description of the agent: its package, and the documentation of its function.
fn agent_info(function: &Function, runtime: &RuntimePath<'_>) -> TokenStream {
    let private = runtime.private();
    let name = function.name().to_string();
    let documentation = function.documentation();
    quote! {
        #private::AgentInfo::new(
            ::core::option_env!("CARGO_PKG_NAME"),
            #name,
            #documentation,
            ::core::option_env!("CARGO_PKG_VERSION"),
        )
    }
}

/// Returns the function that creates the configuration, as an `Option`: the `config` expression,
/// changed by the policies that other arguments of the attribute set.
fn config(runtime: &RuntimePath<'_>, arguments: &AttributeArguments) -> TokenStream {
    let root = runtime.root();
    let policies: Vec<TokenStream> = [
        arguments
            .on_disconnect
            .as_ref()
            .map(|policy| quote!(.on_disconnect(#root::OnDisconnect::#policy))),
        arguments
            .session_concurrency
            .as_ref()
            .map(|policy| quote!(.session_concurrency(#root::SessionConcurrency::#policy))),
    ]
    .into_iter()
    .flatten()
    .collect();
    match (&arguments.config, &policies[..]) {
        (None, []) => quote!(::core::option::Option::None),
        (Some(config), []) => quote!(::core::option::Option::Some(|| #config)),
        (config, policies) => {
            let config = config.as_ref().map_or_else(
                || quote!(#root::RuntimeConfig::new()),
                |config| quote!(#config),
            );
            quote! {
                ::core::option::Option::Some(|| {
                    let __config: #root::RuntimeConfig = #config;
                    __config #(#policies)*
                })
            }
        }
    }
}

/// Returns the path of the function that parses the request; `rustc` reports a type that cannot be
/// parsed at the parameter's type.
fn parse_request(runtime: &RuntimePath<'_>, ty: &Type) -> TokenStream {
    let request = runtime.item_at("request", TokenRange::of(ty));
    quote!(#request::<#ty>)
}

/// Returns the call that starts an invocation: the user's function, awaited or on a blocking
/// thread, and the delivery of its reply.
fn start(
    runtime: &RuntimePath<'_>,
    function: &Function,
    parameters: &FurtherParameters,
) -> TokenStream {
    let private = runtime.private();
    let name = function.name();
    let arguments = &parameters.arguments;
    let (start, await_) = if function.is_async() {
        ("on_worker", Some(quote!(.await)))
    } else {
        ("on_blocking_thread", None)
    };
    let conversion = reply::conversion(runtime, function);
    let range = TokenRange::of_output(function);
    let output = range.binding("__output");
    let (bind_output, output) = (output.name, output.value);
    let borrowed = range.binding("__borrowed");
    let (bind_borrowed, borrowed) = (borrowed.name, borrowed.value);
    let buffer = variable(function, "__buffer");
    let run = async_closure(
        function,
        &[&buffer],
        &TokenStream::new(),
        quote! {
            let __buffer = #buffer;
            let __reply = {
                let #bind_output = (#name(__request #arguments) #await_,);
                let __kind = (&&#private::autoref::TypeTag::of(&#output)).future_kind();
                let #bind_borrowed = (&#output,);
                __kind.check(#borrowed);
                __kind.then(#output, &__buffer, #conversion)
            };
            __reply.await.deliver(&__buffer).await
        },
    );
    runtime.call_at(start, TokenRange::of_name(function), quote!(__call, #run))
}

/// Returns the `main` that follows reported errors; without one `rustc` would also report a
/// missing `main`.
fn unreachable_main() -> TokenStream {
    main_function(&quote!(::core::unreachable!()))
}

fn main_function(body: &TokenStream) -> TokenStream {
    // `main` has the span of the attribute, where `rustc` reports a second entrypoint of the
    // module.
    let main = Ident::new("main", Span::call_site());
    quote! {
        #[allow(dead_code)]
        fn #main() -> ::std::process::ExitCode {
            #body
        }
    }
}
