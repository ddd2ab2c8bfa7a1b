//! Options of one invocation.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ppio_agent_protocol::ResponseFormat;
use ppio_agent_protocol::headers::{AGENT_CORE_REQUEST_ID, REQUEST_ID, RESPONSE_FORMAT, TIMEOUT};

use super::caller_headers::CallerHeaders;
use crate::error::Error;
use crate::platform::ServiceCall;

/// The headers that carry a trace from service to service (W3C Trace Context and Baggage).
const TRACE_HEADERS: [&str; 3] = ["traceparent", "tracestate", "baggage"];

#[derive(Default)]
pub(crate) struct InvokeOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) request_id: Option<String>,
    pub(crate) headers: CallerHeaders,
    trace: HeaderMap,
}

impl InvokeOptions {
    /// Copies the trace headers of an incoming request.
    pub(crate) fn trace_context(&mut self, incoming: &HeaderMap) {
        for name in TRACE_HEADERS {
            if let Some(value) = incoming.get(name) {
                let name = HeaderName::from_static(name);
                self.trace.insert(name, value.clone());
            }
        }
    }

    /// The headers of the request. Those of the caller replace those of this crate.
    pub(super) fn into_headers(
        self,
        accept: &'static str,
        request_id: &str,
        timeout: Option<u64>,
    ) -> Result<HeaderMap, Error> {
        let id = HeaderValue::from_str(request_id).map_err(|_| {
            Error::validation("request_id", "contains characters that no header can carry")
        })?;
        let format = HeaderValue::from_static(ResponseFormat::Envelope.as_str());
        let mut headers = HeaderMap::from_iter([
            (header::ACCEPT, HeaderValue::from_static(accept)),
            (HeaderName::from_static(REQUEST_ID), id.clone()),
            (HeaderName::from_static(AGENT_CORE_REQUEST_ID), id),
            // Without it, AgentCore's headers would mean the bare value.
            (HeaderName::from_static(RESPONSE_FORMAT), format),
        ]);
        if let Some(seconds) = timeout {
            // The body has it too, where only an agent that takes an `InvocationRequest` reads it.
            headers.insert(HeaderName::from_static(TIMEOUT), seconds.into());
        }
        headers.extend(self.trace);
        headers.extend(self.headers.into_map()?);
        Ok(headers)
    }
}

/// The request of an invocation with these headers.
pub(super) fn invocation_call(body: bytes::Bytes, headers: HeaderMap) -> ServiceCall {
    ServiceCall::post("invoke agent", "/invocations")
        .bytes("application/json", body)
        .headers(headers)
}
