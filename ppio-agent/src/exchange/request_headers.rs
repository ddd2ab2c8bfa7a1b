//! The headers that determine how a request is handled.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue};

use super::header_names::{
    AGENT_CORE_REQUEST_ID, AGENT_CORE_SESSION_ID, IDEMPOTENCY_KEY, PPIO_ON_DISCONNECT,
    PPIO_STREAM_IDS, PREFER, RESPONSE_FORMAT, TIMEOUT, X_REQUEST_ID,
};
use super::rejection::Rejection;
use super::request_id::RequestId;
use super::requested_format::RequestedFormat;

/// The headers that are read from every request.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is about a kind of header of its own"
)]
pub(crate) struct RequestHeaders<'a> {
    /// The id in the request's own headers.
    pub(crate) request_id: Option<RequestId>,
    pub(crate) format: RequestedFormat,
    /// Whether AgentCore sends the request.
    pub(crate) is_agent_core: bool,
    /// The caller's time limit, in seconds.
    pub(crate) timeout: Option<u32>,
    /// A header of an invocation whose value is not valid.
    pub(crate) invalid: Option<InvalidHeader<'a>>,
    /// The origin of the page that sends the request.
    pub(crate) origin: Option<&'a HeaderValue>,
    pub(crate) host: Option<&'a HeaderValue>,
    pub(crate) repeats_host: bool,
    /// Whether the only header about the body is the type `application/json`, so that
    /// `payload::check_headers` would reject nothing.
    pub(crate) is_plain_json: bool,
    /// Whether the request has a header that may turn an invocation into a kept run;
    /// `runs::options` reads such headers.
    pub(crate) has_run_options: bool,
}

/// A header whose value is not valid.
pub(crate) struct InvalidHeader<'a> {
    name: &'static str,
    value: &'a HeaderValue,
    expected: &'static str,
}

impl<'a> RequestHeaders<'a> {
    /// Reads each header once. Of a repeated header, the first value is returned.
    ///
    /// Comparing the few names of a request costs less than hashing AgentCore's long ones for a
    /// lookup.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let (mut own_id, mut agent_core_id, mut origin, mut host) = (None, None, None, None);
        let (mut format, mut timeout) = (None, None);
        let mut is_agent_core = false;
        let (mut repeats_host, mut has_run_options) = (false, false);
        let (mut has_json_type, mut has_other_content) = (false, false);
        for (name, value) in headers {
            if name == HOST {
                repeats_host |= host.is_some();
                host.get_or_insert(value);
            } else if name == CONTENT_TYPE {
                let is_json = value == "application/json";
                has_json_type |= is_json;
                has_other_content |= !is_json;
            } else if name == CONTENT_ENCODING {
                has_other_content = true;
            } else if name == ORIGIN {
                origin.get_or_insert(value);
            } else if name == X_REQUEST_ID {
                own_id.get_or_insert(value);
            } else if name == AGENT_CORE_REQUEST_ID {
                agent_core_id.get_or_insert(value);
                is_agent_core = true;
            } else if name == AGENT_CORE_SESSION_ID {
                is_agent_core = true;
            } else if name == RESPONSE_FORMAT {
                format.get_or_insert(value);
            } else if name == TIMEOUT {
                timeout.get_or_insert(value);
            } else if name == IDEMPOTENCY_KEY
                || name == PPIO_STREAM_IDS
                || name == PPIO_ON_DISCONNECT
                || name == PREFER
            {
                has_run_options = true;
            }
        }
        // AgentCore sends its headers with every request and expects the bare value.
        let default_format = if is_agent_core {
            RequestedFormat::AgentCore
        } else {
            RequestedFormat::Unspecified
        };
        let mut read = Self {
            request_id: RequestId::given([own_id, agent_core_id]),
            format: default_format,
            is_agent_core,
            timeout: None,
            invalid: None,
            origin,
            host,
            repeats_host,
            is_plain_json: has_json_type && !has_other_content,
            has_run_options,
        };
        if let Some(value) = format {
            read.read_format(value);
        }
        if let Some(value) = timeout {
            read.read_timeout(value);
        }
        read
    }

    fn read_format(&mut self, value: &'a HeaderValue) {
        match RequestedFormat::parse(value) {
            Some(format) => self.format = format,
            None => {
                self.invalid = Some(InvalidHeader {
                    name: "PPIO-Response-Format",
                    value,
                    expected: "`envelope` or `value`",
                });
            }
        }
    }

    fn read_timeout(&mut self, value: &'a HeaderValue) {
        self.timeout = seconds(value);
        if self.timeout.is_none() {
            self.invalid = Some(InvalidHeader {
                name: "PPIO-Timeout",
                value,
                expected: "whole seconds, 1 or more",
            });
        }
    }
}

impl InvalidHeader<'_> {
    pub(crate) fn rejection(&self) -> Rejection {
        let found = String::from_utf8_lossy(self.value.as_bytes());
        Rejection::InvalidHeader {
            name: self.name,
            found: found.chars().take(200).collect(),
            expected: self.expected,
        }
    }
}

/// Parses digits as whole seconds. A number that does not fit into a `u32` becomes `u32::MAX`: over
/// a century, which does not limit an invocation in practice.
fn seconds(value: &HeaderValue) -> Option<u32> {
    let digits = value.to_str().ok()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.parse().unwrap_or(u32::MAX);
    (is_number && seconds > 0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        headers
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    const ID: &str = "x-amzn-bedrock-agentcore-runtime-request-id";
    const SESSION: &str = "x-amzn-bedrock-agentcore-runtime-session-id";

    #[test]
    fn the_callers_headers_select_the_format() {
        for (headers, format) in [
            (&[][..], RequestedFormat::Unspecified),
            (&[(SESSION, "s")], RequestedFormat::AgentCore),
            (&[(ID, "r-2")], RequestedFormat::AgentCore),
            (
                &[(SESSION, "s"), ("ppio-response-format", "envelope")],
                RequestedFormat::Envelope,
            ),
            (&[("ppio-response-format", "value")], RequestedFormat::Value),
        ] {
            let headers = map(headers);
            let read = RequestHeaders::of(&headers);
            assert_eq!(read.format, format, "{headers:?}");
            assert!(read.invalid.is_none(), "{headers:?}");
        }
    }

    #[test]
    fn x_request_id_takes_precedence_over_agent_cores() {
        let id = |headers| RequestHeaders::of(&map(headers)).request_id;
        for (headers, expected) in [
            (&[][..], None),
            (&[(ID, "r-2")], Some("r-2")),
            (&[(ID, "r-2"), ("x-request-id", "r-1")], Some("r-1")),
        ] {
            let found = id(headers);
            assert_eq!(found.as_ref().map(RequestId::as_str), expected);
        }
    }

    #[test]
    fn a_timeout_is_whole_seconds() {
        for (text, seconds) in [
            ("1", Some(1)),
            ("030", Some(30)),
            ("99999999999999999999999", Some(u32::MAX)),
            ("0", None),
            ("", None),
            ("+1", None),
            ("-1", None),
            ("1.5", None),
            ("1s", None),
            ("soon", None),
        ] {
            let headers = map(&[("ppio-timeout", text)]);
            let read = RequestHeaders::of(&headers);
            assert_eq!(read.timeout, seconds, "{text}");
            let error = read.invalid.map(|invalid| invalid.rejection().to_string());
            assert_eq!(error.is_some(), seconds.is_none(), "{error:?}");
            assert!(error.is_none_or(|error| error.contains("PPIO-Timeout")));
        }
    }
}
