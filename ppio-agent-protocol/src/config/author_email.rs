//! The field `metadata.author`.

use std::fmt;
use std::str::FromStr;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};

use crate::text::{self, excerpt};

/// The author's e-mail address.
///
/// The check finds common mistakes and is not the grammar of RFC 5322: one `@` with text before it,
/// a domain with a dot after it, whose labels neither begin nor end with a hyphen, no white space,
/// control characters, `<`, `>`, `,` or `;`, and at most 254 bytes, the limit of [RFC 5321].
///
/// [RFC 5321]: https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1.3
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorEmail(String);

/// An error from parsing an [`AuthorEmail`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an e-mail address, write one such as `developer@example.com`")]
pub struct InvalidAuthorEmail(String);

/// The limit of RFC 5321 for a path, 256 bytes, less its `<` and `>`.
const MAX_BYTES: usize = 254;

impl AuthorEmail {
    /// Returns the address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AuthorEmail {
    type Err = InvalidAuthorEmail;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let label =
            |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
        let plain =
            |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | ',' | ';');
        let valid = text.len() <= MAX_BYTES
            && text.chars().all(plain)
            && text.split_once('@').is_some_and(|(user, domain)| {
                !user.is_empty()
                    && !domain.contains('@')
                    && domain.contains('.')
                    && domain.split('.').all(label)
            });
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidAuthorEmail(excerpt(text)))
        }
    }
}

impl fmt::Display for AuthorEmail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for AuthorEmail {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

text::try_from_text!(AuthorEmail);

impl Serialize for AuthorEmail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AuthorEmail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(
            deserializer,
            "an e-mail address such as `developer@example.com`",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_common_mistakes() {
        for text in [
            "a@b.c",
            "developer@example.com",
            "a.b+c@x-y.co.uk",
            "用户@例子.公司",
            "o'neil@x.ie",
        ] {
            assert!(text.parse::<AuthorEmail>().is_ok(), "{text:?}");
        }
        let huge = format!("{}@example.com", "a".repeat(1 << 20));
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@b.c",
            "a@b",
            "a@b.",
            "a@.c",
            "a@b..c",
            "a@b@c.d",
            "a b@c.d",
            "a@b.c\n",
            "Ann <ann@b.c>",
            "a@b.c,d@e.f",
            "a@-b.c",
            "a\u{3000}@b.c",
            huge.as_str(),
        ] {
            assert!(text.parse::<AuthorEmail>().is_err(), "{text:?}");
        }
    }
}
