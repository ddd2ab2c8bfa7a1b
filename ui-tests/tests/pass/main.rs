//! The signatures that the macros accept. Every signature is expanded, compiled and served over a
//! socket, and its response is checked.
//!
//! A program has one entrypoint, and this one has hundreds: each is in a module of its own, and
//! `AgentRuntimeApp::annotated_in` builds an agent from the functions of that module.
// An expansion causes no warnings.
#![deny(warnings)]
#![allow(
    clippy::elidable_lifetime_names,
    clippy::manual_async_fn,
    clippy::needless_lifetimes,
    clippy::needless_pass_by_value,
    clippy::unnecessary_box_returns,
    clippy::unnecessary_wraps,
    reason = "the tests cover every way to write a function"
)]

mod arguments;
mod entrypoint;
mod http;
mod hygiene;
mod middleware;
mod ping;
mod routes;
mod state;
mod websocket;
