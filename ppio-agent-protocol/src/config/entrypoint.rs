//! The field `spec.entrypoint`.

use std::fmt;
use std::str::FromStr;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};

use crate::text::{self, excerpt};

/// The file that an agent starts from: a Python file or the root of a Rust target.
///
/// The path is relative to `agent.yaml` and no part of the path is `..`. Some clients of the
/// platform write the path without quotes into a shell command of the sandbox, so the path consists
/// of letters, digits, `.`, `_`, `-` (not first) and `/`.
///
/// ```
/// use ppio_agent_protocol::Entrypoint;
///
/// assert!("agent.py".parse::<Entrypoint>()?.is_python());
/// assert!("src/main.rs".parse::<Entrypoint>()?.is_rust());
/// assert!("../agent.py".parse::<Entrypoint>().is_err());
/// # Ok::<(), ppio_agent_protocol::InvalidEntrypoint>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entrypoint {
    path: String,
    language: Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Language {
    Python,
    Rust,
}

/// An error from parsing an [`Entrypoint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEntrypoint {
    /// The text is empty.
    #[error("the entrypoint is empty, write a file such as `agent.py` or `src/main.rs`")]
    Empty,
    /// The file is neither a Python nor a Rust file.
    #[error(
        "{0:?} is neither a `.py` nor a `.rs` file, write a file such as `agent.py` or \
         `src/main.rs`"
    )]
    Language(String),
    /// The path is absolute, begins with `~`, or has a part that is `..` or empty, such as after a
    /// final `/`.
    #[error(
        "{0:?} is not a path inside the project, write it relative to agent.yaml and without `..`"
    )]
    Outside(String),
    /// A character is not allowed.
    #[error(
        "{path:?} holds {character:?}, use only letters, digits, `.`, `_`, `-` (not first) and `/`"
    )]
    Character {
        /// The text, shortened to 64 characters.
        path: String,
        /// The first character that is not allowed.
        character: char,
    },
}

impl Entrypoint {
    /// Returns the path as it was written.
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// Whether the file is a Python file.
    pub fn is_python(&self) -> bool {
        self.language == Language::Python
    }

    /// Whether the file is the root of a Rust target.
    pub fn is_rust(&self) -> bool {
        self.language == Language::Rust
    }
}

impl FromStr for Entrypoint {
    type Err = InvalidEntrypoint;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        if path.is_empty() {
            return Err(InvalidEntrypoint::Empty);
        }
        // Reported as an absolute path: for `C:\agent.py`, an error about the colon helps less.
        if path.starts_with(['/', '\\', '~'])
            || path.get(1..).is_some_and(|rest| rest.starts_with(":\\"))
        {
            return Err(InvalidEntrypoint::Outside(excerpt(path)));
        }
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        let offender = path
            .chars()
            .find(|&c| !allowed(c))
            .or(path.starts_with('-').then_some('-'));
        if let Some(character) = offender {
            let path = excerpt(path);
            return Err(InvalidEntrypoint::Character { path, character });
        }
        if path.split('/').any(|part| part.is_empty() || part == "..") {
            return Err(InvalidEntrypoint::Outside(excerpt(path)));
        }
        let file = path.rsplit('/').next().unwrap_or(path);
        let language = match file.rsplit_once('.') {
            Some((stem, "py")) if !stem.is_empty() => Language::Python,
            Some((stem, "rs")) if !stem.is_empty() => Language::Rust,
            _ => return Err(InvalidEntrypoint::Language(excerpt(path))),
        };
        Ok(Self {
            path: path.to_owned(),
            language,
        })
    }
}

impl fmt::Display for Entrypoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.path)
    }
}

text::try_from_text!(Entrypoint);

impl Serialize for Entrypoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.path)
    }
}

impl<'de> Deserialize<'de> for Entrypoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "a file such as `agent.py` or `src/main.rs`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_files_inside_the_project() {
        for (text, python) in [
            ("agent.py", true),
            ("./agent.py", true),
            ("src/app/agent_1-b.py", true),
            ("src/main.rs", false),
            ("src/bin/worker.rs", false),
            ("智能体.py", true),
        ] {
            let entrypoint: Entrypoint = text.parse().unwrap();
            assert_eq!(
                (entrypoint.is_python(), entrypoint.is_rust()),
                (python, !python),
                "{text:?}"
            );
            assert_eq!(entrypoint.to_string(), text);
        }
        let huge = "a/".repeat(1 << 20);
        for text in [
            "",
            ".",
            "..",
            "/",
            "agent",
            "agent.js",
            "agent.PY",
            ".py",
            "src/.rs",
            "src/",
            "/agent.py",
            "../agent.py",
            "a/../b.py",
            "a//b.py",
            "C:\\agent.py",
            "~/agent.py",
            "a b.py",
            "a.py ",
            "a.py\n",
            "a;rm.py",
            "$(id).py",
            "a.py\0",
            "-c.py",
            "a\\b.py",
            "é:\\b.py",
            "a\u{200b}.py",
            huge.as_str(),
        ] {
            let error = text.parse::<Entrypoint>().unwrap_err().to_string();
            assert!(error.len() < 400, "{error}");
        }
    }
}
