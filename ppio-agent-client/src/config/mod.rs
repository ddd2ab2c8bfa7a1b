//! Configuration from code and from the environment, and the API key.

mod auth;
mod client_config;
mod environment;
mod secret;

pub use auth::AuthManager;
pub use client_config::ClientConfig;
pub use secret::Secret;

pub(crate) use client_config::MAX_RESPONSE_SIZE;
pub(crate) use environment::{EnvironmentSettings, Vendor};
pub(crate) use secret::{NamesOnly, TRAFFIC_TOKEN};
