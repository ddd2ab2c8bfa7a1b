//! A configured agent, from annotated functions or closures, and the program that runs it.

mod builder;
mod healthcheck;
#[cfg(feature = "logging")]
mod logging;
mod registry;
mod run;
mod runtime_app;
mod start_error;

pub use builder::{AgentRuntimeAppBuilder, BuilderEntrypoint};
pub use registry::{
    EntrypointRegistration, MiddlewareRegistration, PingRegistration, SourceLocation,
};
pub use run::run;
pub use runtime_app::AgentRuntimeApp;
pub use start_error::StartError;
