//! The field `metadata.name`.

use std::fmt;
use std::str::FromStr;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};

use crate::text::{self, excerpt};

/// An agent's name: 1 to 63 lower-case ASCII letters, digits and hyphens, no hyphen at either end.
///
/// This is a DNS label of [RFC 1123] in lower case, so that a name can be part of a host name and
/// of a Kubernetes object's name.
///
/// [RFC 1123]: https://www.rfc-editor.org/rfc/rfc1123#page-13
///
/// ```
/// use ppio_agent_protocol::AgentName;
///
/// let name: AgentName = "my-langgraph-agent".parse()?;
/// assert_eq!(name.as_str(), "my-langgraph-agent");
/// assert!("My Agent".parse::<AgentName>().is_err());
/// # Ok::<(), ppio_agent_protocol::InvalidAgentName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentName(String);

/// An error from parsing an [`AgentName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAgentName {
    /// The text is empty.
    #[error("the name is empty, write one such as `my-agent`")]
    Empty,
    /// The text is longer than [`AgentName::MAX_LENGTH`].
    #[error(
        "the name has {length} characters, use at most {}",
        AgentName::MAX_LENGTH
    )]
    TooLong {
        /// The number of characters.
        length: usize,
    },
    /// A character is not allowed.
    #[error(
        "{name:?} holds {character:?}, use only lower-case letters, digits and hyphens, such as \
         `my-agent`"
    )]
    Character {
        /// The text, shortened to 64 characters.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// The text starts or ends with a hyphen.
    #[error("{0:?} starts or ends with a hyphen, remove it")]
    HyphenAtEnd(String),
}

impl AgentName {
    /// The longest name, in characters.
    pub const MAX_LENGTH: usize = 63;

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AgentName {
    type Err = InvalidAgentName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name.is_empty() {
            return Err(InvalidAgentName::Empty);
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if let Some(character) = name.chars().find(|&c| !allowed(c)) {
            let name = excerpt(name);
            return Err(InvalidAgentName::Character { name, character });
        }
        if name.len() > Self::MAX_LENGTH {
            return Err(InvalidAgentName::TooLong { length: name.len() });
        }
        if name.starts_with('-') || name.ends_with('-') {
            return Err(InvalidAgentName::HyphenAtEnd(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for AgentName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

text::try_from_text!(AgentName);

impl Serialize for AgentName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AgentName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(
            deserializer,
            "a name such as `my-agent`, in quotes if it is a number",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_dns_labels_in_lower_case() {
        let longest = "a".repeat(63);
        for name in ["a", "0", "my-agent", "a--b", "007", longest.as_str()] {
            assert!(name.parse::<AgentName>().is_ok(), "{name:?}");
        }
        let too_long = "a".repeat(64);
        let huge = "é".repeat(1 << 20);
        for name in [
            "",
            "-",
            "-a",
            "a-",
            "A",
            "a b",
            "a_b",
            "a.b",
            "a\n",
            "é",
            "ａ",
            "а",
            "a\u{200b}",
            "😀",
            too_long.as_str(),
            huge.as_str(),
        ] {
            let error = name.parse::<AgentName>().unwrap_err().to_string();
            assert!(error.len() < 400, "{error}");
        }
    }
}
