//! Both sides of a connection, over memory. Published clients are tested in
//! `ppio-agent/tests/runtime` and `tests/tests/websocket_interop.rs`.

mod support;

mod close;
mod flow;
mod limits;
