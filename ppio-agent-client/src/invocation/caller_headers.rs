//! Headers that the caller adds to an invocation.

use http::{HeaderMap, HeaderName, HeaderValue};
use ppio_agent_protocol::headers;

use crate::error::Error;

/// Headers of the connection and of message framing (RFC 9110, section 7.6.1, and RFC 9112). Only
/// the transport sets them: a header of the caller could split one request into two.
const CONNECTION_HEADERS: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that select the sandbox.
const ROUTING_HEADERS: [&str; 4] = [
    headers::PPIO_SANDBOX_ID,
    headers::PPIO_SANDBOX_PORT,
    headers::E2B_SANDBOX_ID,
    headers::E2B_SANDBOX_PORT,
];

/// The headers of the caller, and the error of the first invalid header.
#[derive(Default)]
pub(crate) struct CallerHeaders {
    headers: HeaderMap,
    error: Option<Error>,
}

impl CallerHeaders {
    /// Adds a header. If the header is invalid, [`check`](Self::check) returns the error.
    pub(crate) fn add<V: TryInto<HeaderValue>>(&mut self, name: &str, value: V) {
        match header(name, value) {
            Ok((name, value)) => {
                self.headers.append(name, value);
            }
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
    }

    /// Returns the error of the first invalid header.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        self.error.take().map_or(Ok(()), Err)
    }

    pub(super) fn into_map(mut self) -> Result<HeaderMap, Error> {
        self.check()?;
        Ok(self.headers)
    }
}

fn header<V: TryInto<HeaderValue>>(
    name: &str,
    value: V,
) -> Result<(HeaderName, HeaderValue), Error> {
    let invalid = |message: &str| Error::validation("header", format!("{name:?} {message}"));
    let parsed: HeaderName = name
        .parse()
        .map_err(|_| invalid("is not a valid header name"))?;
    if CONNECTION_HEADERS.contains(&parsed.as_str()) {
        return Err(invalid("is set by the connection, remove it"));
    }
    if ROUTING_HEADERS.contains(&parsed.as_str()) {
        return Err(invalid(
            "selects the sandbox, remove it and call through the sandbox's session",
        ));
    }
    // The value may be a secret, so the error does not quote it.
    let mut value: HeaderValue = value
        .try_into()
        .map_err(|_| invalid("has a value with characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_header_is_an_error_that_names_the_header() {
        for name in CONNECTION_HEADERS.into_iter().chain(ROUTING_HEADERS) {
            let mut headers = CallerHeaders::default();
            headers.add("x-tenant", "7");
            headers.add(&name.to_uppercase(), "1");
            headers.add("a b", "1");
            let error = headers.into_map().expect_err(name).to_string();
            assert!(error.contains(&name.to_uppercase()), "{error}");
        }
        for (name, value) in [
            ("a b", "1"),
            ("", "1"),
            ("x-a", "1\r\nx-b: 2"),
            ("x-a", "\0"),
        ] {
            let mut headers = CallerHeaders::default();
            headers.add(name, value);
            let error = headers.into_map().expect_err(name);
            assert!(matches!(error, Error::Validation { .. }), "{error}");
            assert!(!error.to_string().contains("x-b"), "{error}");
        }
    }
}
