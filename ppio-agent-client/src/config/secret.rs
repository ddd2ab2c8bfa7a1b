//! Secret strings, whose `Debug` output does not contain the text.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

/// The header of a sandbox's traffic token, as in the packages of E2B and PPIO.
pub(crate) const TRAFFIC_TOKEN: &str = "e2b-traffic-access-token";

/// A key or token. `Debug` prints `Secret(***)`; [`expose`](Self::expose) returns the text.
///
/// ```
/// use ppio_agent_client::Secret;
///
/// let key = Secret::new("ppio_live_123");
/// assert_eq!(format!("{key:?}"), "Secret(***)");
/// assert_eq!(key.expose(), "ppio_live_123");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::from(text.into()))
    }

    /// Returns the text of the secret, which must not be logged.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns `prefix` and the secret as a header value that is marked sensitive, or `None` if the
    /// secret contains characters that no header can carry.
    pub(crate) fn header(&self, prefix: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Returns `text` with every occurrence of the secret replaced by `***`: a server may quote the
    /// key that it rejects.
    pub(crate) fn redact(&self, text: String) -> String {
        if !self.0.is_empty() && text.contains(&*self.0) {
            text.replace(&*self.0, "***")
        } else {
            text
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Prints the names of environment variables without their values, which may be secrets.
pub(crate) struct NamesOnly<'a>(pub(crate) &'a BTreeMap<String, String>);

impl fmt::Debug for NamesOnly<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_sensitive_and_a_quoted_key_is_replaced() {
        let key = Secret::new("sk-1");
        let header = key.header("Bearer ").expect("plain text");
        assert!(header.is_sensitive());
        assert!(!format!("{header:?}").contains("sk-1"));
        assert_eq!(key.redact("bad key sk-1!".into()), "bad key ***!");
        assert!(Secret::new("a\nb").header("").is_none());
    }
}
