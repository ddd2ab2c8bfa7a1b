//! Connections over real sockets.

mod framing;
mod idle;
mod silent_streams;
mod support;
