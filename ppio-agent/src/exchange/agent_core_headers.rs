//! The headers of AgentCore in a request.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use ppio_agent_protocol::headers::{
    AGENT_CORE_CUSTOM_PREFIX, AGENT_CORE_IDENTITY_WAT, AGENT_CORE_OAUTH2_CALLBACK_URL,
    AGENT_CORE_REQUEST_ID, AGENT_CORE_SESSION_ID, AGENT_CORE_SHELL_ID,
    AGENT_CORE_WORKLOAD_ACCESS_TOKEN,
};

use super::context::RequestContext;
use crate::telemetry::{BAGGAGE, TRACESTATE, joined};

/// The prefixes of headers that AWS's infrastructure adds to a request.
const RESERVED_PREFIXES: [&str; 2] = ["x-amz-", "x-amzn-"];

/// Headers that have a reserved prefix but are passed to the agent.
const PASSED_TO_AGENT: [&str; 4] = [
    AGENT_CORE_REQUEST_ID,
    AGENT_CORE_SESSION_ID,
    AGENT_CORE_SHELL_ID,
    AGENT_CORE_IDENTITY_WAT,
];

/// Removes the headers of AWS's infrastructure, such as its signature, from a request that
/// AgentCore sends. By AgentCore's contract, these headers are not passed to the agent.
pub(crate) fn remove_reserved(headers: &mut HeaderMap) {
    let reserved = headers.keys().filter(|name| is_reserved(name));
    let reserved: Vec<HeaderName> = reserved.cloned().collect();
    for name in reserved {
        headers.remove(name);
    }
}

fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str();
    RESERVED_PREFIXES.iter().any(|it| name.starts_with(it))
        && !name.starts_with(AGENT_CORE_CUSTOM_PREFIX)
        && !PASSED_TO_AGENT.contains(&name)
}

/// Headers that AgentCore sends, and the trace headers of the W3C. Each is absent on other
/// platforms, unless the caller sends it.
impl RequestContext {
    /// Returns the id of the shell that the request belongs to.
    pub fn shell_id(&self) -> Option<&str> {
        self.header(AGENT_CORE_SHELL_ID)
    }

    /// Returns the token of the agent's workload identity, with which the agent obtains credentials
    /// for other services.
    pub fn workload_access_token(&self) -> Option<&str> {
        let names = [AGENT_CORE_IDENTITY_WAT, AGENT_CORE_WORKLOAD_ACCESS_TOKEN];
        let mut tokens = names.into_iter().filter_map(|name| self.header(name));
        tokens.find(|token| !token.is_empty())
    }

    /// Returns the URL to which the user is sent back after an `OAuth2` consent.
    pub fn oauth2_callback_url(&self) -> Option<&str> {
        self.header(AGENT_CORE_OAUTH2_CALLBACK_URL)
    }

    /// Returns the caller's own headers that AgentCore passes on, by their names in lower case
    /// without `X-Amzn-Bedrock-AgentCore-Runtime-Custom-`. A header whose value is not printable
    /// ASCII is skipped.
    pub fn custom_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers().iter().filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix(AGENT_CORE_CUSTOM_PREFIX)?;
            Some((name, value.to_str().ok()?))
        })
    }

    /// Returns the position of the request in a trace (W3C Trace Context).
    pub fn traceparent(&self) -> Option<&str> {
        self.header("traceparent")
    }

    /// Returns vendor-specific data about the trace (W3C Trace Context).
    pub fn tracestate(&self) -> Option<Cow<'_, str>> {
        joined(self.headers(), &TRACESTATE)
    }

    /// Returns values that belong to the trace (W3C Baggage), such as AgentCore's experiment.
    pub fn baggage(&self) -> Option<Cow<'_, str>> {
        joined(self.headers(), &BAGGAGE)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_headers_of_awss_infrastructure_are_removed() {
        let custom = "x-amzn-bedrock-agentcore-runtime-custom-tenant";
        let kept = [
            AGENT_CORE_REQUEST_ID,
            AGENT_CORE_SESSION_ID,
            AGENT_CORE_SHELL_ID,
            AGENT_CORE_IDENTITY_WAT,
            AGENT_CORE_WORKLOAD_ACCESS_TOKEN,
            custom,
            "authorization",
            "x-amazing",
            "x-own",
        ];
        let removed = [
            "x-amz-date",
            "x-amz-security-token",
            "x-amzn-trace-id",
            "x-amzn-bedrock-agentcore-runtime-user-id",
            "x-amzn-bedrock-agentcore-runtime-custom",
        ];
        let names = kept.iter().chain(&removed);
        let mut headers: HeaderMap = names
            .map(|&name| (HeaderName::from_static(name), HeaderValue::from_static("v")))
            .collect();
        headers.append("x-amz-date", HeaderValue::from_static("again"));
        remove_reserved(&mut headers);
        for name in kept {
            assert!(headers.contains_key(name), "{name}");
        }
        assert_eq!(headers.len(), kept.len(), "{headers:?}");
    }

    #[test]
    fn a_list_may_come_in_several_headers() {
        let context = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("baggage", HeaderValue::from_static(value));
            }
            RequestContext::of_headers(headers)
        };
        assert_eq!(context(&[]).baggage(), None);
        assert_eq!(context(&["a=1"]).baggage().as_deref(), Some("a=1"));
        let two = context(&["a=1", "b=2,c=3"]);
        assert_eq!(two.baggage().as_deref(), Some("a=1,b=2,c=3"));
    }
}
