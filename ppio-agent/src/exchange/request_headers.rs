//! The headers that decide how a request is handled.

use http::header::{HOST, ORIGIN, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue};

use super::header_names::{AGENT_CORE_REQUEST_ID, AGENT_CORE_SESSION_ID, X_REQUEST_ID};
use super::json::ResponseFormat;
use super::request_id::RequestId;

/// The headers that are read of every request.
pub(crate) struct RequestHeaders<'a> {
    pub(crate) request_id: RequestId,
    pub(crate) format: ResponseFormat,
    /// The origin of the page that sends the request.
    pub(crate) origin: Option<&'a HeaderValue>,
    pub(crate) host: Option<&'a HeaderValue>,
    pub(crate) repeats_host: bool,
    pub(crate) has_transfer_encoding: bool,
}

impl<'a> RequestHeaders<'a> {
    /// Reads each header once; the first of a repeated header counts.
    ///
    /// Comparing the few names of a request costs less than hashing AgentCore's long ones for a
    /// lookup.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let (mut own_id, mut agent_core_id, mut origin, mut host) = (None, None, None, None);
        let mut is_agent_core = false;
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
                own_id.get_or_insert(value);
            } else if name == AGENT_CORE_REQUEST_ID {
                agent_core_id.get_or_insert(value);
                is_agent_core = true;
            } else if name == AGENT_CORE_SESSION_ID {
                is_agent_core = true;
            }
        }
        Self {
            request_id: RequestId::choose([own_id, agent_core_id]),
            // AgentCore sends its headers with every request and expects the bare value.
            format: if is_agent_core {
                ResponseFormat::Bare
            } else {
                ResponseFormat::Envelope
            },
            origin,
            host,
            repeats_host,
            has_transfer_encoding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&'static str, &'static str)]) -> (RequestId, ResponseFormat) {
        let headers = headers
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect();
        let head = RequestHeaders::of(&headers);
        (head.request_id, head.format)
    }

    #[test]
    fn either_agent_core_header_selects_the_bare_format() {
        let id = "x-amzn-bedrock-agentcore-runtime-request-id";
        let session = "x-amzn-bedrock-agentcore-runtime-session-id";
        assert_eq!(head(&[]).1, ResponseFormat::Envelope);
        assert_eq!(head(&[(session, "s")]).1, ResponseFormat::Bare);
        assert_eq!(head(&[(id, "r-2")]).1, ResponseFormat::Bare);
        assert_eq!(head(&[(id, "r-2")]).0.as_str(), "r-2");
        let both = head(&[(id, "r-2"), ("x-request-id", "r-1")]);
        assert_eq!(both.0.as_str(), "r-1");
    }
}
