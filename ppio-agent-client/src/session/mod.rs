//! Sessions: one sandbox each, with an agent in it.

mod create_session;
mod lifecycle;
mod orphan_cleanup;
mod ping;
mod readiness;
mod registry;
mod sandbox_config;
mod sandbox_session;
mod session_core;
mod session_creation;
mod session_scope;
mod sessions;
mod status;

pub use create_session::CreateSession;
pub use sandbox_config::SandboxConfig;
pub use sandbox_session::SandboxSession;
pub use status::SessionStatus;

pub(crate) use sandbox_session::WeakSession;
pub(crate) use sessions::Sessions;
