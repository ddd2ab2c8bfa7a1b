//! What the head of a request says of its caller.

use http::header::{EXPECT, HOST, ORIGIN, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue};

use crate::exchange::header_names::{AGENT_CORE_REQUEST_ID, AGENT_CORE_SESSION_ID, X_REQUEST_ID};
use crate::exchange::json::Style;
use crate::exchange::request_id::RequestId;

/// The headers that every request is asked for.
pub(crate) struct Head<'a> {
    pub(crate) request_id: RequestId,
    pub(crate) style: Style,
    /// The page that a browser calls from.
    pub(crate) origin: Option<&'a HeaderValue>,
    pub(crate) host: Option<&'a HeaderValue>,
    pub(crate) repeats_host: bool,
    pub(crate) has_transfer_encoding: bool,
    /// Its sender waits for `100 Continue` before it sends the body.
    pub(crate) asks_first: bool,
}

impl<'a> Head<'a> {
    /// Looks at each header once; of a header said twice the first counts. Hashing AgentCore's long names to look them up costs more than
    /// comparing the few names that a request has.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let (mut ours, mut theirs, mut origin, mut host) = (None, None, None, None);
        let (mut agent_core, mut asks_first) = (false, false);
        let (mut repeats_host, mut has_transfer_encoding) = (false, false);
        for (name, value) in headers {
            if name == HOST {
                repeats_host |= host.is_some();
                host.get_or_insert(value);
            } else if name == ORIGIN {
                origin.get_or_insert(value);
            } else if name == TRANSFER_ENCODING {
                has_transfer_encoding = true;
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
            origin,
            host,
            repeats_host,
            has_transfer_encoding,
            asks_first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&'static str, &'static str)]) -> (RequestId, Style) {
        let headers = headers
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect();
        let head = Head::of(&headers);
        (head.request_id, head.style)
    }

    #[test]
    fn agent_core_is_known_by_either_of_its_headers() {
        let id = "x-amzn-bedrock-agentcore-runtime-request-id";
        let session = "x-amzn-bedrock-agentcore-runtime-session-id";
        assert_eq!(head(&[]).1, Style::Envelope);
        assert_eq!(head(&[(session, "s")]).1, Style::Bare);
        assert_eq!(head(&[(id, "r-2")]).1, Style::Bare);
        assert_eq!(head(&[(id, "r-2")]).0.as_str(), "r-2");
        let both = head(&[(id, "r-2"), ("x-request-id", "r-1")]);
        assert_eq!(both.0.as_str(), "r-1");
    }
}
