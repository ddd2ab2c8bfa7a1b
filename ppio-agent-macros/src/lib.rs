//! The attribute macros of [`ppio-agent`](https://docs.rs/ppio-agent), which re-exports and
//! documents them as `#[ppio::entrypoint]`, `#[ppio::websocket]`, `#[ppio::ping]`,
//! `#[ppio::middleware]`, `#[ppio::startup]`, `#[ppio::shutdown]` and `#[ppio::routes]`.
//!
//! An attribute is expanded in three steps:
//!
//! 1. `attr` parses the arguments and `ast` the function;
//! 2. `valid` checks the signature, and reports every error at its token;
//! 3. `expand` generates calls to functions in `ppio::__private`, which contain the logic.

mod ast;
mod attr;
mod diagnostics;
mod expand;
mod valid;

use proc_macro::TokenStream;

/// Makes a function the agent's entrypoint and generates `main`.
///
/// | argument | meaning |
/// | --- | --- |
/// | `config = <expression>` | a `ppio::RuntimeConfig`; environment variables override it |
/// | `on_disconnect = "cancel"` or `"continue"` | what happens to an invocation whose caller disconnects |
/// | `session_concurrency = "parallel"`, `"queue"`, `"reject"` or `"interrupt"` | what a second invocation of a session does while one runs |
/// | `crate = <path>` | the path of the `ppio` crate; default `::ppio` |
///
/// The two policies replace those of `config`; environment variables override them as well.
#[proc_macro_attribute]
pub fn entrypoint(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::entrypoint(arguments.into(), &item.into()).into()
}

/// Makes a function serve `/ws`.
///
/// | argument | meaning |
/// | --- | --- |
/// | `crate = <path>` | the path of the `ppio` crate; default `::ppio` |
#[proc_macro_attribute]
pub fn websocket(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::websocket(arguments.into(), &item.into()).into()
}

/// Makes a function the agent's health check.
///
/// | argument | meaning |
/// | --- | --- |
/// | `crate = <path>` | the path of the `ppio` crate; default `::ppio` |
#[proc_macro_attribute]
pub fn ping(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::ping(arguments.into(), &item.into()).into()
}

/// Runs a function around `/invocations`, or around every route.
///
/// | argument | meaning |
/// | --- | --- |
/// | `order = <integer>` | the lowest is outermost; default 0, functions of the same order run in source order |
/// | `all` | runs on every route, `/ping` included |
/// | `crate = <path>` | the path of the `ppio` crate; default `::ppio` |
#[proc_macro_attribute]
pub fn middleware(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::middleware(arguments.into(), &item.into()).into()
}

/// Makes a function build a state before the agent listens.
///
/// | argument | meaning |
/// | --- | --- |
/// | `crate = <path>` | the path of the `ppio` crate; default `::ppio` |
#[proc_macro_attribute]
pub fn startup(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::startup(arguments.into(), &item.into()).into()
}

/// Runs a function when the agent ends.
///
/// | argument | meaning |
/// | --- | --- |
/// | `crate = <path>` | the path of the `ppio` crate; default `::ppio` |
#[proc_macro_attribute]
pub fn shutdown(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::shutdown(arguments.into(), &item.into()).into()
}

/// Makes a function provide the service for the paths that are not the agent's.
///
/// | argument | meaning |
/// | --- | --- |
/// | `crate = <path>` | the path of the `ppio` crate; default `::ppio` |
#[proc_macro_attribute]
pub fn routes(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::routes(arguments.into(), &item.into()).into()
}
