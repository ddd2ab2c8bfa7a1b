//! Header names and ports that are part of the contract.
//!
//! The names are lower-case, as HTTP/2 and the `http` crate want them; HTTP compares them without case.

/// The id of one request: taken from the caller, or made by the runtime, and sent back on every response.
pub const REQUEST_ID: &str = "x-request-id";

/// The caller's session, as Amazon Bedrock `AgentCore` sends it to an agent.
pub const AGENT_CORE_SESSION_ID: &str = "x-amzn-bedrock-agentcore-runtime-session-id";

/// The request's id, as Amazon Bedrock `AgentCore` sends it to an agent.
pub const AGENT_CORE_REQUEST_ID: &str = "x-amzn-bedrock-agentcore-runtime-request-id";

/// Which sandbox a request is for, when host names do not tell.
pub const PPIO_SANDBOX_ID: &str = "ppio-sandbox-id";

/// Which port of the sandbox a request is for, when host names do not tell.
pub const PPIO_SANDBOX_PORT: &str = "ppio-sandbox-port";

/// [`PPIO_SANDBOX_ID`] as the E2B packages spell it.
pub const E2B_SANDBOX_ID: &str = "e2b-sandbox-id";

/// [`PPIO_SANDBOX_PORT`] as the E2B packages spell it.
pub const E2B_SANDBOX_PORT: &str = "e2b-sandbox-port";

/// The API key of the control plane.
pub const API_KEY: &str = "x-api-key";

/// The token of one sandbox's daemon (envd), when the sandbox was created `secure`.
pub const ACCESS_TOKEN: &str = "x-access-token";

/// The cursor of a list's next page; absent on the last one.
pub const NEXT_TOKEN: &str = "x-next-token";

/// The port an agent listens on inside its sandbox.
pub const AGENT_PORT: u16 = 8080;

/// The port the sandbox's daemon (envd: files, processes) listens on.
pub const ENVD_PORT: u16 = 49983;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_tokens() {
        for name in [
            REQUEST_ID,
            AGENT_CORE_SESSION_ID,
            AGENT_CORE_REQUEST_ID,
            PPIO_SANDBOX_ID,
            PPIO_SANDBOX_PORT,
            E2B_SANDBOX_ID,
            E2B_SANDBOX_PORT,
            API_KEY,
            ACCESS_TOKEN,
            NEXT_TOKEN,
        ] {
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{name}"
            );
        }
    }
}
