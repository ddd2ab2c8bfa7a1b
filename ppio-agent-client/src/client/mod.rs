//! The client: creates sessions, finds them, and invokes agents.

mod agent_runtime_client;
mod builder;
mod invoke_agent_runtime;
mod runtime_sessions;
mod scope;

pub use agent_runtime_client::AgentRuntimeClient;
pub use builder::ClientBuilder;
pub use invoke_agent_runtime::{AgentRuntimeResponse, InvokeAgentRuntime};
