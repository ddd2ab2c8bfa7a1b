//! The runtime over real sockets, as clients and users see it.

mod bad_input;
mod cancellation;
mod context;
mod cors;
mod errors;
mod hosts;
mod middleware;
mod panics;
mod shutdown;
mod slow_clients;
mod support;
mod testing;
mod unread_bodies;
