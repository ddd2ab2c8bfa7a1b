//! Requests whose end is ambiguous.

use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, HeaderValue};

/// The extension of a request that has to be refused with 400, because servers disagree about the
/// end of such a request, which allows request smuggling (RFC 9112, section 6.1).
///
/// The connection is closed after the response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// The request has two lengths. hyper removes one of them from the headers, so the headers that
    /// the handler reads contain only one length.
    #[error(
        "the request has a `Content-Length` and a `Transfer-Encoding` header; send one of them"
    )]
    AmbiguousLength,
    /// The transfer encoding is not `chunked` alone. hyper accepts other codings before it.
    #[error(
        "transfer encoding {found:?} is not supported; send `transfer-encoding: chunked` alone"
    )]
    TransferCoding {
        /// The beginning of the header's values.
        found: String,
    },
}

/// The maximum number of characters of a header's value that an error text quotes.
const EXCERPT_LENGTH: usize = 200;

impl FramingError {
    /// Returns an error if the transfer encoding of a request with chunks is not `chunked` alone.
    pub(crate) fn check_coding(headers: &HeaderMap) -> Option<Self> {
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let only = codings.next().filter(|_| codings.next().is_none());
        if only.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
            return None;
        }
        let codings = headers.get_all(TRANSFER_ENCODING).iter();
        let codings: Vec<_> = codings.map(HeaderValue::as_bytes).collect();
        let found = String::from_utf8_lossy(&codings.join(&b", "[..]))
            .chars()
            .take(EXCERPT_LENGTH)
            .collect();
        Some(Self::TransferCoding { found })
    }
}
