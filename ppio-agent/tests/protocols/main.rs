//! The protocols other than `POST /invocations`, over real sockets.

#[allow(
    dead_code,
    unused_imports,
    reason = "the tests of the runtime use the rest"
)]
#[path = "../runtime/support/mod.rs"]
mod support;

mod websocket;
