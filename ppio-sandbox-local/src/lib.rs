//! The PPIO sandbox platform on one machine, without an account.
//!
//! [`LocalPlatform`] serves the control plane, the in-sandbox daemon and the traffic of sandboxes
//! on one loopback port. The published SDKs work with it unchanged. Sandboxes are processes of this
//! machine with the isolation that the machine supports ([`IsolationKind`]); templates survive
//! restarts. The platform is for development and tests: snapshots copy files and not memory, images
//! are not pulled, and clones are answered with status 501.
//!
//! A request passes through these folders, in this order: `server` (accept, TLS or not) → `edge`
//! (which sandbox, which port) → `control_plane`, `envd`, or `proxy` to a port of a sandbox →
//! `template` and `sandbox` → `isolation` → `processes` and `files`.

mod api;
mod clock;
mod control_plane;
mod edge;
mod envd;
mod error;
mod files;
mod home;
mod host_name;

mod identity;
mod isolation;
mod platform;
mod processes;
mod proxy;
mod sandbox;
mod server;
mod shared;
mod template;

pub use axum::body::Body;
pub use axum::http;
pub use error::Error;
pub use isolation::{IsolationKind, UnenforcedLimit};
pub use platform::{
    BuiltTemplate, LocalPlatform, LocalPlatformBuilder, RunningPlatform, TemplateSpec,
    UNENFORCED_LIMITS_TARGET,
};
pub use processes::listening_ports;
pub use proxy::forward;
