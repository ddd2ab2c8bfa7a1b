//! The platform as a program embeds it, and the lookup of a platform by other programs.

mod builder;
mod environment;
mod local_platform;
mod running_platform;
mod state_file;
mod template_spec;

pub use builder::{LocalPlatformBuilder, UNENFORCED_LIMITS_TARGET};
pub use local_platform::LocalPlatform;
pub use running_platform::RunningPlatform;
pub use template_spec::{BuiltTemplate, TemplateSpec};
