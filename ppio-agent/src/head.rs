//! What the head of a request says of its caller.

use http::header::{EXPECT, ORIGIN};
use http::{HeaderMap, HeaderValue};

use crate::header_names::{AGENT_CORE_REQUEST_ID, AGENT_CORE_SESSION_ID, X_REQUEST_ID};
use crate::json::Style;
use crate::request_id::RequestId;

/// The headers that every request is asked for.
pub(crate) struct Head {
    pub(crate) request_id: RequestId,
    pub(crate) style: Style,
    /// The page that a browser calls from.
    pub(crate) origin: Option<HeaderValue>,
    /// Its sender waits for `100 Continue` before it sends the body.
    pub(crate) asks_first: bool,
}

impl Head {
    /// Looks at each header once; of a header said twice the first counts. Hashing AgentCore's long names to look them up costs more than
    /// comparing the few names that a request has.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let (mut ours, mut theirs, mut origin) = (None, None, None);
        let (mut agent_core, mut asks_first) = (false, false);
        for (name, value) in headers {
            if name == ORIGIN {
                origin.get_or_insert(value);
            } else if name == X_REQUEST_ID {
                ours.get_or_insert(value);
            } else if name == AGENT_CORE_REQUEST_ID {
                theirs.get_or_insert(value);
                agent_core = true;
            } else if name == AGENT_CORE_SESSION_ID {
                agent_core = true;
            } else if name == EXPECT {
                asks_first = true;
            }
        }
        Self {
            request_id: RequestId::choose([ours, theirs]),
            // AgentCore names itself in its headers, and its callers expect the bare value.
            style: if agent_core {
                Style::Bare
            } else {
                Style::Envelope
            },
            origin: origin.cloned(),
            asks_first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&'static str, &'static str)]) -> Head {
        Head::of(
            &headers
                .iter()
                .map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect(),
        )
    }

    #[test]
    fn agent_core_is_known_by_either_of_its_headers() {
        let id = "x-amzn-bedrock-agentcore-runtime-request-id";
        let session = "x-amzn-bedrock-agentcore-runtime-session-id";
        assert_eq!(head(&[]).style, Style::Envelope);
        assert_eq!(head(&[(session, "s")]).style, Style::Bare);
        assert_eq!(head(&[(id, "r-2")]).style, Style::Bare);
        assert_eq!(head(&[(id, "r-2")]).request_id.as_str(), "r-2");
        let both = head(&[(id, "r-2"), ("x-request-id", "r-1")]);
        assert_eq!(both.request_id.as_str(), "r-1");
    }
}
