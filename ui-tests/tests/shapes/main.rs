//! What the macros accept. Every shape of a function is expanded, compiled, served, asked over a
//! socket, and its answer is checked.
//!
//! A program has one entrypoint, and this one has hundreds: each stands in a module of its own, and
//! `AgentRuntimeApp::annotated_in` makes an agent of that module's functions.
#![deny(warnings)]
#![deny(clippy::pedantic)]
#![allow(
    clippy::unused_async,
    reason = "that a function is `async` is what is tested"
)]

#[macro_use]
mod table;

mod answer;
mod arguments;
mod contexts;
mod errors;
mod iterators;
mod middleware;
mod names;
mod ping;
mod requests;
mod served;
mod streams;
mod values;
