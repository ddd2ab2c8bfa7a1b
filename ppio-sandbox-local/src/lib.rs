//! The PPIO sandbox platform on one machine, without an account.
//!
//! [`LocalPlatform`] serves the control plane, the in-sandbox daemon and the traffic of sandboxes
//! on one loopback port, to the published SDKs as they are. Sandboxes are real processes, kept
//! apart as well as this machine allows ([`IsolationKind`]); templates survive restarts. It is for
//! development and tests: snapshots, clones and image pulls are answered with 501.
//!
//! A request meets, in this order: `listener` (accept, TLS or not) → `edge` (which sandbox, which
//! port) → `control_plane`, `envd` or the proxy to a sandbox's port → `sandbox` and `template` →
//! `isolation`.

mod api_error;
mod builder;
mod clock;
mod confined_path;
mod control_plane;
mod edge;
mod envd;
mod environment;
mod error;
mod forward;
mod home;
mod identity;
mod isolation;
mod json_body;
mod key;
mod listener;
mod ownership;
mod parameters;
mod platform;
mod running;
mod sandbox;
mod shared;
mod template;
mod template_spec;
mod tls;
mod tunnel;

pub use builder::LocalPlatformBuilder;
pub use error::Error;
pub use forward::forward;
pub use isolation::{IsolationKind, UnenforcedLimit};
pub use platform::LocalPlatform;
pub use running::RunningPlatform;
pub use template_spec::{BuiltTemplate, TemplateSpec};
