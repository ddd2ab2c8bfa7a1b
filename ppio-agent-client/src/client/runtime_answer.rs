//! What `invoke_agent_runtime` answers.

use crate::invocation::Answer;

/// An agent's answer, and the session to ask again in.
#[derive(Debug)]
pub struct AgentRuntimeAnswer {
    /// The session's id: the caller's, or the sandbox's where the caller gave none.
    pub runtime_session_id: String,
    /// The answer.
    pub answer: Answer,
}
