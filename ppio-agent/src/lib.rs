//! Empty for now.
#![forbid(unsafe_code)]

mod agent;
mod app;
mod blocking_pool;
mod body;
mod config;
mod connection;
mod context;
mod cors;
mod drive;
mod error;
mod event_stream;
mod failure;
mod handler;
mod healthcheck;
mod invoke;
mod json;
mod logging;
mod metrics;
mod middleware;
mod outlet;
mod parts;
mod payload;
mod ping;
pub(crate) mod probe;
mod record;
mod reply;
mod request_id;
mod run;
mod server;
mod service;
mod settings;
mod start_error;
pub mod task;
pub mod testing;

pub use app::{AgentRuntimeApp, AgentRuntimeAppBuilder};
pub use body::{Body, BodyEnd, Request, Response};
pub use config::RuntimeConfig;
pub use context::{AgentRuntimeContext, RequestContext};
pub use error::{BoxError, Error};
pub use middleware::{IntoResponse, Next};
pub use ping::IntoPing;
pub use ppio_agent_macros::{entrypoint, middleware, ping};
pub use ppio_agent_protocol::{
    ByteSize, InvocationRequest, InvocationResponse, PingResponse, PingStatus,
};
pub use reply::{EventStream, Events, IntoReply, Json};
pub use run::run;
pub use serde_json::{Value, json};
pub use server::AgentRuntimeServer;
pub use service::AgentService;
pub use settings::ConfigError;
pub use start_error::StartError;

/// What the expansion of the macros calls. Not for use by hand; it may change at any time.
#[doc(hidden)]
pub mod __private {
    pub use inventory;

    pub use crate::handler::{Call, Job, context_for};
    pub use crate::middleware::Middleware;
    pub use crate::outlet::Outlet;
    pub use crate::parts::{EntrypointPart, MiddlewarePart, PingPart, Place};
    pub use crate::ping::PingHandler;
    /// The probes, under a name that the expansion imports.
    pub mod probe {
        pub use crate::probe::*;
    }
    pub use crate::reply::Outcome;
}
