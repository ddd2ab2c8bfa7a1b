//! Generates the code of each attribute.

mod entrypoint;
mod further_parameters;
mod middleware;
mod ping;
mod plain;
mod registration;
mod reply;
mod routes;
mod runtime_path;
mod shutdown;
mod startup;
mod states;
mod token_range;
mod websocket;

pub(crate) use entrypoint::expand as entrypoint;
pub(crate) use middleware::expand as middleware;
pub(crate) use ping::expand as ping;
pub(crate) use routes::expand as routes;
pub(crate) use shutdown::expand as shutdown;
pub(crate) use startup::expand as startup;
pub(crate) use websocket::expand as websocket;
