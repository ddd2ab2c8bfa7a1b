//! The client: makes sessions, finds them, and invokes agents.

mod agent_runtime_client;
mod builder;
mod invoke_agent_runtime;
mod runtime_answer;
mod runtime_sessions;

pub use agent_runtime_client::AgentRuntimeClient;
pub use builder::ClientBuilder;
pub use invoke_agent_runtime::InvokeAgentRuntime;
pub use runtime_answer::AgentRuntimeAnswer;
