//! The environment variables of agents, clients and tools, which all read them by one rule: a
//! variable without a value, or with white space only, counts as not set.
//!
//! Deployment files often unset a variable by setting it to an empty text.

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
