//! What the other modules share: the state of a client, background tasks, random ids and scopes.

mod background;
mod client_core;
pub(crate) mod random;
mod scope;

pub(crate) use client_core::ClientCore;
pub(crate) use scope::run_then_close;
