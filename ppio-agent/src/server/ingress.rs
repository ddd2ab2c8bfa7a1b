//! How a request came in, and what is checked of it for that before anything of the agent runs.

use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, HeaderValue, Version};

use crate::exchange::body::Request;
use crate::exchange::rejection::Failure;
use crate::exchange::request_headers::Head;
use crate::server::host::{self, AllowedHosts};

/// How a request came in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ingress {
    /// Through a server that is not this crate's. That server checks messages and hosts.
    Service,
    /// Over a connection to a listener of this crate.
    Listener {
        /// It is bound to a loopback address.
        is_loopback: bool,
    },
}

impl Ingress {
    /// Checks what RFC 9112 demands of a request's head, and the host that it names.
    pub(crate) fn check(
        self,
        request: &Request,
        head: &Head<'_>,
        hosts: &AllowedHosts,
    ) -> Result<(), Failure> {
        let Self::Listener { is_loopback } = self else {
            return Ok(());
        };
        if head.has_transfer_encoding {
            check_transfer_encoding(request.headers())?;
        }
        if head.repeats_host {
            return Err(Failure::RepeatedHost);
        }
        match head.host {
            Some(host) if !host::is_valid(host.as_bytes()) => return Err(Failure::InvalidHost),
            None if request.version() >= Version::HTTP_11 => return Err(Failure::NoHost),
            _ => {}
        }
        if is_loopback
            && let Some(authority) = authority(request, head)
            && !hosts.allows(authority)
        {
            return Err(Failure::HostNotAllowed {
                host: excerpt(authority),
            });
        }
        Ok(())
    }
}

/// With a coding beside `chunked`, servers on the way can disagree about where the body ends.
fn check_transfer_encoding(headers: &HeaderMap) -> Result<(), Failure> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let only = codings.next().filter(|_| codings.next().is_none());
    if !only.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        let found = headers.get_all(TRANSFER_ENCODING).iter();
        let found: Vec<_> = found.map(|coding| excerpt(coding.as_bytes())).collect();
        return Err(Failure::TransferCoding {
            found: found.join(", "),
        });
    }
    Ok(())
}

/// The host and port that a request is for. A complete URI in the request line comes before `Host`
/// (RFC 9112, section 3.2.2).
pub(crate) fn authority<'a>(request: &'a Request, head: &Head<'a>) -> Option<&'a [u8]> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => head.host.map(HeaderValue::as_bytes),
    }
}

/// What a client sent, short enough for an error text.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(200).collect()
}
