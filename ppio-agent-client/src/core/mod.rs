//! The state that a client, its clones and its sessions share.

mod background;
mod client_core;
pub(crate) mod random;
mod scope;

pub(crate) use client_core::ClientCore;
pub(crate) use scope::run_then_close;
