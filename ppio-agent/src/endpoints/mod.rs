//! The endpoints of the runtime besides invocations and protocols, and the routes of the author.

pub(crate) mod debug_actions;
pub(crate) mod entrypoint_schema;
pub(crate) mod index;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
pub(crate) mod mounted;
#[cfg(feature = "schema")]
pub(crate) mod openapi;
pub(crate) mod ping;
pub(crate) mod runs;
#[cfg(feature = "websocket")]
pub(crate) mod websocket;
mod websocket_registration;
