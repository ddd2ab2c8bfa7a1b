//! The attribute macros of [`ppio-agent`](https://docs.rs/ppio-agent). Use them as
//! `#[ppio::entrypoint]`, `#[ppio::ping]` and `#[ppio::middleware]`; they are documented there.
//!
//! Each goes the same way: `attr` parses the arguments, `function` parses and checks the signature
//! (collecting every mistake), and the file of its name expands what was found into calls of
//! `ppio::__private`, where the logic lives.

mod attr;
mod entrypoint;
mod errors;
mod function;
mod middleware;
mod ping;

use proc_macro::TokenStream;

/// Makes a function the agent's entrypoint, and writes `main`.
///
/// | argument | meaning |
/// | --- | --- |
/// | `config = <expression>` | a `ppio::RuntimeConfig`; the environment wins over it |
/// | `crate = <path>` | where the `ppio` crate is, when it is re-exported under another name |
#[proc_macro_attribute]
pub fn entrypoint(arguments: TokenStream, item: TokenStream) -> TokenStream {
    entrypoint::expand(arguments.into(), &item.into()).into()
}

/// Makes a function the agent's health check.
///
/// | argument | meaning |
/// | --- | --- |
/// | `crate = <path>` | where the `ppio` crate is, when it is re-exported under another name |
#[proc_macro_attribute]
pub fn ping(arguments: TokenStream, item: TokenStream) -> TokenStream {
    ping::expand(arguments.into(), &item.into()).into()
}

/// Wraps a function around `/invocations`, or around every route.
///
/// | argument | meaning |
/// | --- | --- |
/// | `order = <integer>` | the lowest is outermost; the default is 0, ties go in source order |
/// | `all` | every route, the health check included |
/// | `crate = <path>` | where the `ppio` crate is, when it is re-exported under another name |
#[proc_macro_attribute]
pub fn middleware(arguments: TokenStream, item: TokenStream) -> TokenStream {
    middleware::expand(arguments.into(), &item.into()).into()
}
