//! Sessions: one sandbox each, with an agent in it.

mod config;
mod core;
mod invoke;
mod lifecycle;
mod readiness;
mod registry;
mod sandbox_session;
mod status;

pub use config::SandboxConfig;
pub use sandbox_session::SandboxSession;
pub use status::SessionStatus;

pub(crate) use self::core::{PORT_KEY, SessionCore, TIMEOUT_KEY};
pub(crate) use registry::Registry;
