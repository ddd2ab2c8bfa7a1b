//! Checks of a request's headers before user code runs.

use http::{HeaderValue, Version};
use ppio_agent_connection::FramingError;

use super::host::{self, AllowedHosts};
use crate::exchange::body::Request;
use crate::exchange::rejection::Rejection;
use crate::exchange::request_headers::RequestHeaders;

/// How a request reached the agent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ingress {
    /// Through a server outside this crate, which checks messages and hosts itself.
    Service,
    /// Over a connection that this crate accepted.
    Listener {
        /// Whether the listener is bound to a loopback address.
        is_loopback: bool,
    },
}

impl Ingress {
    /// Checks the framing and the `Host` header as RFC 9112 requires, and whether the host is
    /// served.
    pub(crate) fn check(
        self,
        request: &Request,
        headers: &RequestHeaders<'_>,
        hosts: &AllowedHosts,
    ) -> Result<(), Rejection> {
        let Self::Listener { is_loopback } = self else {
            return Ok(());
        };
        if let Some(error) = request.extensions().get::<FramingError>() {
            return Err(Rejection::Framing(error.clone()));
        }
        if headers.repeats_host {
            return Err(Rejection::RepeatedHost);
        }
        match headers.host {
            Some(host) if !host::is_valid(host.as_bytes()) => return Err(Rejection::InvalidHost),
            None if request.version() >= Version::HTTP_11 => return Err(Rejection::NoHost),
            _ => {}
        }
        if is_loopback
            && let Some(authority) = authority(request, headers)
            && !hosts.allows(authority)
        {
            return Err(Rejection::HostNotAllowed {
                host: excerpt(authority),
            });
        }
        Ok(())
    }
}

/// Returns the host and port that a request is for. An absolute URI in the request line takes
/// precedence over `Host` (RFC 9112, section 3.2.2).
pub(crate) fn authority<'a>(
    request: &'a Request,
    headers: &RequestHeaders<'a>,
) -> Option<&'a [u8]> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => headers.host.map(HeaderValue::as_bytes),
    }
}

/// Returns the first 200 characters of a value that a client sent, for an error text.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(200).collect()
}
