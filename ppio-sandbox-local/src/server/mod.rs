//! The one port of the platform: plain HTTP, TLS and `CONNECT`.

mod listener;
mod tls;
mod tunnel;

pub(crate) use listener::{ServerState, serve};
pub(crate) use tls::{Tls, certificate_path};
