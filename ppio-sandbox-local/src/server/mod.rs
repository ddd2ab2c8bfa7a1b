//! The one port of the platform: plain HTTP, TLS and `CONNECT`.

mod authorities;
mod listener;
mod reset_stream;
mod tls;
mod tunnel;
mod upstream_proxy;

pub(crate) use authorities::{VARIABLES as CERTIFICATE_VARIABLES, bundle_path};
pub(crate) use listener::{ServerState, serve};
pub(crate) use tls::Tls;
