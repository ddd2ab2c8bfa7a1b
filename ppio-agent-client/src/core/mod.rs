//! What a client, its clones and its sessions share.

mod background;
mod client_core;

pub(crate) use client_core::ClientCore;
