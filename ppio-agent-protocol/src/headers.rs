//! Header names and ports of the protocol.
//!
//! The names are in lower case, as the `http` crate requires of constants; HTTP compares header
//! names without case.

/// The id of a request: taken from the caller or generated, and sent back on every response.
pub const REQUEST_ID: &str = "x-request-id";

/// The caller's session, as Amazon Bedrock `AgentCore` sends it to an agent.
pub const AGENT_CORE_SESSION_ID: &str = "x-amzn-bedrock-agentcore-runtime-session-id";

/// The id of a request, as Amazon Bedrock `AgentCore` sends it to an agent.
pub const AGENT_CORE_REQUEST_ID: &str = "x-amzn-bedrock-agentcore-runtime-request-id";

/// The shell that a request belongs to, as Amazon Bedrock `AgentCore` sends it to an agent.
pub const AGENT_CORE_SHELL_ID: &str = "x-amzn-bedrock-agentcore-shell-id";

/// The token of the agent's workload identity, as Amazon Bedrock `AgentCore` sends it to an agent.
pub const AGENT_CORE_IDENTITY_WAT: &str = "x-amz-bedrock-agentcore-identity-wat";

/// The older name of [`AGENT_CORE_IDENTITY_WAT`].
pub const AGENT_CORE_WORKLOAD_ACCESS_TOKEN: &str = "workloadaccesstoken";

/// The URL to which Amazon Bedrock `AgentCore` returns the user of an agent after an `OAuth2`
/// consent.
pub const AGENT_CORE_OAUTH2_CALLBACK_URL: &str = "oauth2callbackurl";

/// The prefix of the caller's own headers that Amazon Bedrock `AgentCore` passes on.
pub const AGENT_CORE_CUSTOM_PREFIX: &str = "x-amzn-bedrock-agentcore-runtime-custom-";

/// The format of the body of an invocation's response: a [`ResponseFormat`].
///
/// In a request, the format that the caller requests: `envelope` or `value`. An agent that
/// supports the header answers with the same header, which names the format of the body.
///
/// [`ResponseFormat`]: crate::ResponseFormat
pub const RESPONSE_FORMAT: &str = "ppio-response-format";

/// The deadline of an invocation, a stream included, in whole seconds from its arrival.
pub const TIMEOUT: &str = "ppio-timeout";

/// The key of a request that may be sent again: an agent that honours keys runs such a request
/// once.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The support for [`IDEMPOTENCY_KEY`], on a response of an agent that honours keys. The value is
/// `supported`, or `replayed` if an earlier request with the key started the invocation.
pub const PPIO_IDEMPOTENCY: &str = "ppio-idempotency";

/// The id of the agent's record of keys, on a response with [`PPIO_IDEMPOTENCY`]. A restart without
/// a journal replaces this id.
///
/// On a request with [`IDEMPOTENCY_KEY`] that is sent again: the id that the agent had when the
/// request was first sent, or [`UNKNOWN_INSTANCE`]. An agent with another id refuses such a request
/// unless the agent has the run of the key.
pub const PPIO_INSTANCE: &str = "ppio-instance";

/// The value of [`PPIO_INSTANCE`] in a request that was first sent before any response contained
/// the agent's id.
pub const UNKNOWN_INSTANCE: &str = "unknown";

/// What happens to an invocation whose caller disconnects: `cancel` or `continue`.
pub const PPIO_ON_DISCONNECT: &str = "ppio-on-disconnect";

/// Whether a stream has ids and an end event: `true` on a request to receive such a stream, and on
/// a response with such a stream.
pub const PPIO_STREAM_IDS: &str = "ppio-stream-ids";

/// The id of the last event that a reader has received.
pub const LAST_EVENT_ID: &str = "last-event-id";

/// Preferences of a caller (RFC 7240), such as `respond-async`.
pub const PREFER: &str = "prefer";

/// The preferences that a response follows (RFC 7240).
pub const PREFERENCE_APPLIED: &str = "preference-applied";

/// The sandbox that a request is for, if the host name does not contain it.
pub const PPIO_SANDBOX_ID: &str = "ppio-sandbox-id";

/// The port in the sandbox that a request is for, if the host name does not contain it.
pub const PPIO_SANDBOX_PORT: &str = "ppio-sandbox-port";

/// [`PPIO_SANDBOX_ID`] in the spelling of the E2B SDKs.
pub const E2B_SANDBOX_ID: &str = "e2b-sandbox-id";

/// [`PPIO_SANDBOX_PORT`] in the spelling of the E2B SDKs.
pub const E2B_SANDBOX_PORT: &str = "e2b-sandbox-port";

/// The API key of the control plane.
pub const API_KEY: &str = "x-api-key";

/// The access token of a sandbox's daemon (envd), if the sandbox was created with `secure`.
pub const ACCESS_TOKEN: &str = "x-access-token";

/// The cursor of a list's next page; absent on the last page.
pub const NEXT_TOKEN: &str = "x-next-token";

/// The port that an agent listens on in its sandbox.
pub const AGENT_PORT: u16 = 8080;

/// The port that a sandbox's daemon (envd, for files and processes) listens on.
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
            RESPONSE_FORMAT,
            TIMEOUT,
            IDEMPOTENCY_KEY,
            PPIO_IDEMPOTENCY,
            PPIO_INSTANCE,
            PPIO_ON_DISCONNECT,
            PPIO_STREAM_IDS,
            LAST_EVENT_ID,
            PREFER,
            PREFERENCE_APPLIED,
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
