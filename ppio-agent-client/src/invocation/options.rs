//! Options of one invocation.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ppio_agent_protocol::ResponseFormat;
use ppio_agent_protocol::headers::{
    AGENT_CORE_REQUEST_ID, IDEMPOTENCY_KEY, LAST_EVENT_ID, PPIO_INSTANCE, PPIO_ON_DISCONNECT,
    PPIO_STREAM_IDS, PREFER, REQUEST_ID, RESPONSE_FORMAT, TIMEOUT,
};

use super::caller_headers::CallerHeaders;
use super::request_id;
use crate::error::Error;
use crate::platform::ServiceCall;

pub(super) const ACCEPT_JSON: &str = "application/json";
pub(super) const ACCEPT_STREAM: &str =
    "text/event-stream, application/x-ndjson;q=0.9, application/json;q=0.5";
pub(super) const ACCEPT_ANY: &str = "application/json, text/event-stream, application/x-ndjson";

/// The headers that carry a trace from service to service (W3C Trace Context and Baggage).
const TRACE_HEADERS: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// Headers of an invocation that later calls about its run do not share.
const HEADERS_OF_ONE_CALL: [&str; 12] = [
    "accept",
    "content-type",
    AGENT_CORE_REQUEST_ID,
    IDEMPOTENCY_KEY,
    LAST_EVENT_ID,
    PPIO_INSTANCE,
    PPIO_ON_DISCONNECT,
    PPIO_STREAM_IDS,
    PREFER,
    REQUEST_ID,
    RESPONSE_FORMAT,
    TIMEOUT,
];

#[derive(Default)]
pub(crate) struct InvokeOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) request_id: Option<String>,
    pub(crate) headers: CallerHeaders,
    pub(crate) resumable: bool,
    trace: HeaderMap,
}

/// The kind of response that an invocation requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpectedResponse {
    /// An answer in one of the formats of this `Accept` header.
    Answer(&'static str),
    /// Only the confirmation that the run was accepted.
    Detached,
}

/// The headers of an invocation.
pub(super) struct InvocationHeaders {
    pub(super) map: HeaderMap,
    /// The caller's headers for later calls about the invocation's run, such as `authorization`.
    pub(super) for_run: HeaderMap,
    /// Whether dropping the invocation may cancel its run: the run is not meant to continue without
    /// a caller, and no other call can share the run.
    pub(super) cancels_on_drop: bool,
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

    /// Builds the headers of the request. Headers of the caller replace headers of this crate.
    pub(super) fn into_headers(
        self,
        response: ExpectedResponse,
        request_id: &str,
        timeout: Option<u64>,
    ) -> Result<InvocationHeaders, Error> {
        let ids = request_id::headers(request_id)?;
        // An agent that honours the idempotency key runs the invocation once, however often the
        // invocation is sent.
        let key = HeaderValue::try_from(request_id::random());
        let key = key.map_err(|error| Error::validation("header", error.to_string()))?;
        let accept = match response {
            ExpectedResponse::Answer(accept) => accept,
            ExpectedResponse::Detached => ACCEPT_ANY,
        };
        let format = HeaderValue::from_static(ResponseFormat::Envelope.as_str());
        let mut map = HeaderMap::from_iter([
            (header::ACCEPT, HeaderValue::from_static(accept)),
            // Without this header, AgentCore's headers would select the bare value.
            (HeaderName::from_static(RESPONSE_FORMAT), format),
            (HeaderName::from_static(IDEMPOTENCY_KEY), key),
        ]);
        map.extend(ids);
        if let Some(seconds) = timeout {
            // The body contains the timeout as well, but only an agent that takes an
            // `InvocationRequest` reads the timeout there.
            map.insert(HeaderName::from_static(TIMEOUT), seconds.into());
        }
        let mut set = |name, value| {
            map.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        };
        if response == ExpectedResponse::Detached {
            set(PREFER, "respond-async");
        }
        if self.resumable {
            set(PPIO_ON_DISCONNECT, "continue");
            set(PPIO_STREAM_IDS, "true");
        }
        let caller = self.headers.into_map()?;
        let continues = response == ExpectedResponse::Detached || self.resumable;
        let is_decided = [IDEMPOTENCY_KEY, PPIO_ON_DISCONNECT]
            .iter()
            .any(|name| caller.contains_key(*name));
        map.extend(self.trace);
        map.extend(caller.clone());
        let mut for_run = caller;
        for name in HEADERS_OF_ONE_CALL {
            for_run.remove(name);
        }
        Ok(InvocationHeaders {
            map,
            for_run,
            cancels_on_drop: !continues && !is_decided,
        })
    }
}

/// Returns the call of an invocation with these headers.
pub(super) fn invocation_call(body: bytes::Bytes, headers: HeaderMap) -> ServiceCall {
    ServiceCall::post("invoke agent", "/invocations")
        .bytes("application/json", body)
        .headers(headers)
}
