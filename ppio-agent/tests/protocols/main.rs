//! The protocols other than `POST /invocations`, over real sockets.

#[allow(
    dead_code,
    unused_imports,
    reason = "some items are used only by the tests of the runtime"
)]
#[path = "../runtime/support/mod.rs"]
mod support;

mod websocket;
