//! A configured agent, from annotated functions or closures, and the program that runs it.

mod builder;
mod healthcheck;
#[cfg(feature = "logging")]
mod logging;
mod registry;
mod run;
mod runtime_app;
mod source_location;
mod start_error;
mod supervisor;

pub use builder::{AgentRuntimeAppBuilder, BuilderEntrypoint};
#[cfg(feature = "websocket")]
pub use registry::WebSocketRegistration;
pub use registry::{
    EntrypointRegistration, MiddlewareRegistration, PingRegistration, RoutesRegistration,
    ShutdownRegistration, StartupRegistration,
};
pub use run::run;
pub use runtime_app::AgentRuntimeApp;
pub use source_location::SourceLocation;
pub use start_error::StartError;
