//! What the macros accept. Every shape of a function is expanded, compiled, served, asked over a
//! socket, and its answer is checked.
//!
//! A program has one entrypoint, and this one has hundreds: each stands in a module of its own, and
//! `AgentRuntimeApp::annotated_in` makes an agent of that module's functions.
// An expansion causes no warnings.
#![deny(warnings)]
#![allow(
    clippy::elidable_lifetime_names,
    clippy::manual_async_fn,
    clippy::unnecessary_box_returns,
    clippy::unnecessary_wraps,
    reason = "every way to write a function is what is tested"
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
