//! Headers that a caller adds to an invocation.

use http::{HeaderMap, HeaderName, HeaderValue};
use ppio_agent_protocol::headers;

use crate::error::Error;

/// Headers of one connection, or of how a message is cut out of it (RFC 9110, section 7.6.1, and
/// RFC 9112): they are the transport's, and one from elsewhere could make two requests of one.
const OF_THE_CONNECTION: [&str; 13] = [
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

/// Headers that decide which sandbox gets the request.
const OF_THE_ROUTE: [&str; 4] = [
    headers::PPIO_SANDBOX_ID,
    headers::PPIO_SANDBOX_PORT,
    headers::E2B_SANDBOX_ID,
    headers::E2B_SANDBOX_PORT,
];

/// The headers, and the first of them that cannot be sent.
#[derive(Default)]
pub(crate) struct CallerHeaders {
    headers: HeaderMap,
    error: Option<Error>,
}

impl From<HeaderMap> for CallerHeaders {
    fn from(headers: HeaderMap) -> Self {
        Self {
            headers,
            error: None,
        }
    }
}

impl CallerHeaders {
    /// Adds a header; the error of one that cannot be sent is kept for [`into_map`](Self::into_map).
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

    pub(crate) fn into_map(self) -> Result<HeaderMap, Error> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.headers),
        }
    }
}

fn header<V: TryInto<HeaderValue>>(
    name: &str,
    value: V,
) -> Result<(HeaderName, HeaderValue), Error> {
    let invalid = |message: &str| Error::validation("header", format!("{name:?} {message}"));
    let parsed: HeaderName = name
        .parse()
        .map_err(|_| invalid("is not the name of a header"))?;
    if OF_THE_CONNECTION.contains(&parsed.as_str()) {
        return Err(invalid("is set by the connection and cannot be given"));
    }
    if OF_THE_ROUTE.contains(&parsed.as_str()) {
        return Err(invalid(
            "decides which sandbox is called and cannot be given: call through its session",
        ));
    }
    // The value is not quoted: it may be a secret.
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
    fn a_header_of_the_connection_or_the_route_is_refused_by_name() {
        for name in OF_THE_CONNECTION.into_iter().chain(OF_THE_ROUTE) {
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
