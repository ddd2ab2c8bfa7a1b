//! The runtime over real sockets, as clients and users see it.

mod agent_core;
mod author_headers;
mod author_responses;
mod bad_input;
mod cancellation;
mod context;
mod cors;
mod envelopes;
mod errors;
mod event_stream;
mod health_check;
mod hosts;
mod middleware;
mod openapi;
mod panics;
mod replies;
mod routes;
mod runs;
mod settings;
mod shutdown;
mod slow_clients;
mod state;
mod support;
mod testing;
mod timeouts;
mod unread_bodies;
