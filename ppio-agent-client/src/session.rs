//! Sessions: one sandbox each, with an agent in it.

mod config;
mod invoke;
mod lifecycle;
mod readiness;
mod registry;
mod sandbox_session;
mod status;

pub use config::SandboxConfig;
pub use sandbox_session::SandboxSession;
pub use status::SessionStatus;

pub(crate) use registry::Registry;
pub(crate) use sandbox_session::{PORT_KEY, SessionCore, TIMEOUT_KEY};
