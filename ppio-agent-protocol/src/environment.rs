//! The environment variables of agents, clients and tools, which all read them by one rule: a
//! variable without a value, or with white space only, counts as not set.
//!
//! Deployment files often unset a variable by setting it to an empty text.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};

/// Returns the value of a variable as it is, for paths and programs; `None` if it is not set.
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !is_blank(value))
}

/// Returns the value of a variable without white space at both ends; `None` if it is not set.
///
/// A value that is not UTF-8 has replacement characters, so that it becomes an invalid setting
/// instead of one that is not set.
pub fn text(name: &str) -> Option<String> {
    variable(name).map(|value| value.to_string_lossy().trim().to_owned())
}

/// Whether the value of a variable counts as not set.
///
/// ```
/// use ppio_agent_protocol::environment::is_blank;
///
/// assert!(is_blank("") && is_blank(" \t\n"));
/// assert!(!is_blank("0"));
/// ```
pub fn is_blank(value: impl AsRef<OsStr>) -> bool {
    let value = value.as_ref().to_str();
    value.is_some_and(|value| value.trim().is_empty())
}

/// Returns a URL for an error text. If it has user information, a query or a fragment, which may be
/// secret, only the scheme is left, because the URL may not be well formed.
///
/// ```
/// use ppio_agent_protocol::environment::url_without_secrets;
///
/// assert_eq!(url_without_secrets("grpc://user:secret@host:4317"), "grpc://…");
/// assert_eq!(url_without_secrets("localhost:4318"), "localhost:4318");
/// ```
pub fn url_without_secrets(url: &str) -> Cow<'_, str> {
    if !url.contains(['@', '?', '#']) {
        return Cow::Borrowed(url);
    }
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    match scheme.filter(|scheme| scheme.bytes().all(is_part)) {
        Some(scheme) => Cow::Owned(format!("{scheme}://…")),
        None => Cow::Borrowed("…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possible_secrets_are_left_out_of_a_url() {
        for (url, expected) in [
            ("", ""),
            ("not a url", "not a url"),
            ("ftp://host:21/path", "ftp://host:21/path"),
            ("grpc://user:secret@host", "grpc://…"),
            ("http+unix://secret@host:port", "http+unix://…"),
            ("https://host/?key=secret", "https://…"),
            ("https://host/#secret", "https://…"),
            ("user:secret@host", "…"),
            ("user:secret@host://", "…"),
            ("secret@", "…"),
        ] {
            assert_eq!(url_without_secrets(url), expected, "{url}");
        }
    }
}
