//! The handshake of RFC 6455, section 4: the headers with which an HTTP connection becomes a
//! WebSocket.

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const PROTOCOL: &str = "websocket";
/// The only version that is accepted.
const VERSION: &str = "13";

/// Why a client's handshake is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The request is not HTTP/1.1.
    #[error("a WebSocket handshake is a request of HTTP/1.1")]
    NotHttp11,
    /// The request is not a `GET`.
    #[error("a WebSocket handshake is a GET, not a {method}; send `GET`")]
    NotGet {
        /// The method of the request.
        method: Method,
    },
    /// `Connection` does not contain `upgrade`.
    #[error("a WebSocket handshake needs the header `connection: upgrade`")]
    NoConnection,
    /// The version is not 13.
    #[error("the header sec-websocket-version is {found:?}; send `13`")]
    Version {
        /// The first 50 characters of the value; empty if the header is missing or repeated.
        found: String,
    },
    /// There is no valid key.
    #[error("the header sec-websocket-key is missing or invalid; send 16 random bytes in base64")]
    Key,
    /// The request has a body.
    #[error("a WebSocket handshake has no body; remove it")]
    Body,
}

/// Whether a request is an upgrade to a WebSocket.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, &UPGRADE, PROTOCOL)
}

/// Checks a client's handshake, and returns the headers of the response, whose status is 101.
/// `has_body` states whether the request has a body.
///
/// # Errors
/// If the handshake is not valid, which is answered with 400. The `Sec-WebSocket-Version` of the
/// response is [`HandshakeError::supported_version`].
pub fn accept<B>(
    request: &Request<B>,
    has_body: bool,
) -> Result<[(HeaderName, HeaderValue); 3], HandshakeError> {
    let headers = request.headers();
    if request.method() != Method::GET {
        let method = request.method().clone();
        return Err(HandshakeError::NotGet { method });
    }
    if request.version() != Version::HTTP_11 {
        return Err(HandshakeError::NotHttp11);
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(HandshakeError::NoConnection);
    }
    let version = only(headers, &SEC_WEBSOCKET_VERSION).unwrap_or_default();
    if version != VERSION.as_bytes() {
        let found = String::from_utf8_lossy(version).chars().take(50).collect();
        return Err(HandshakeError::Version { found });
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY).filter(|key| is_key(key));
    let key = key.ok_or(HandshakeError::Key)?;
    if has_body {
        return Err(HandshakeError::Body);
    }
    let accept = HeaderValue::try_from(derive_accept_key(key)).map_err(|_| HandshakeError::Key)?;
    Ok([
        (UPGRADE, HeaderValue::from_static(PROTOCOL)),
        (CONNECTION, HeaderValue::from_static("upgrade")),
        (SEC_WEBSOCKET_ACCEPT, accept),
    ])
}

impl HandshakeError {
    /// Returns the version that the response to an invalid handshake names.
    pub fn supported_version() -> (HeaderName, HeaderValue) {
        (SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION))
    }
}

/// The handshake of a client, with a random key.
#[derive(Debug)]
pub struct ClientHandshake {
    key: String,
}

impl ClientHandshake {
    /// Creates a handshake with a random key.
    pub fn new() -> Self {
        Self {
            key: generate_key(),
        }
    }

    /// Returns the headers of the request.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([
            (UPGRADE, HeaderValue::from_static(PROTOCOL)),
            (CONNECTION, HeaderValue::from_static("upgrade")),
            HandshakeError::supported_version(),
        ]);
        // The key is base64, which is valid in a header.
        if let Ok(key) = HeaderValue::from_str(&self.key) {
            headers.insert(SEC_WEBSOCKET_KEY, key);
        }
        headers
    }

    /// Whether a response with status 101 accepts this handshake.
    pub fn is_accepted(&self, response: &HeaderMap) -> bool {
        let accept = only(response, &SEC_WEBSOCKET_ACCEPT);
        is_upgrade(response)
            && accept
                .is_some_and(|accept| accept == derive_accept_key(self.key.as_bytes()).as_bytes())
    }
}

impl Default for ClientHandshake {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the value of a header that is sent once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

/// Whether a header lists a token.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|found| found.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Whether a key is 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(is_base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn request(changes: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::new(());
        for (name, value) in [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ]
        .iter()
        .chain(changes)
        {
            if value.is_empty() {
                request.headers_mut().remove(*name);
            } else {
                let value = HeaderValue::from_static(value);
                request.headers_mut().insert(*name, value);
            }
        }
        request
    }

    #[test]
    fn the_key_of_the_rfc_is_accepted() {
        let headers = accept(&request(&[]), false).unwrap();
        assert_eq!(headers[2].1, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn the_missing_part_of_a_handshake_is_named() {
        for (name, value, word) in [
            ("connection", "", "connection"),
            ("connection", "keep-alive", "connection"),
            ("sec-websocket-version", "", "version"),
            ("sec-websocket-version", "8", "version"),
            ("sec-websocket-key", "", "key"),
            ("sec-websocket-key", "c2hvcnQ=", "key"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZ!==", "key"),
        ] {
            let error = accept(&request(&[(name, value)]), false).unwrap_err();
            assert!(error.to_string().contains(word), "{name}: {value}: {error}");
        }
        let mut twice = request(&[]);
        let key = HeaderValue::from_static(KEY);
        twice.headers_mut().append(SEC_WEBSOCKET_KEY, key);
        assert_eq!(accept(&twice, false), Err(HandshakeError::Key));
        let mut post = request(&[]);
        *post.method_mut() = Method::POST;
        assert!(
            accept(&post, false)
                .unwrap_err()
                .to_string()
                .contains("POST")
        );
        let mut old = request(&[]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(accept(&old, false), Err(HandshakeError::NotHttp11));
        assert_eq!(accept(&request(&[]), true), Err(HandshakeError::Body));
    }

    #[test]
    fn a_client_accepts_only_the_answer_to_its_own_key() {
        let client = ClientHandshake::new();
        let mut request = Request::new(());
        *request.headers_mut() = client.headers();
        assert!(is_upgrade(request.headers()));
        let answer = HeaderMap::from_iter(accept(&request, false).unwrap());
        assert!(client.is_accepted(&answer));
        assert!(!ClientHandshake::new().is_accepted(&answer));
        assert!(!client.is_accepted(&HeaderMap::new()));
    }
}
