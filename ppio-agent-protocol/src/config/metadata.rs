//! The section `metadata`.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::agent_config_error::{AgentConfigError, set};
use super::agent_name::AgentName;
use super::author_email::AuthorEmail;
use super::timestamp::Timestamp;

/// The agent's name, version and author.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "a section with `name`, `version` and `author`")]
#[non_exhaustive]
pub struct AgentMetadata {
    /// The agent's name.
    pub name: AgentName,
    /// The agent's version, in any scheme; not empty.
    #[serde(deserialize_with = "deserialize_version")]
    pub version: String,
    /// The author's e-mail address.
    pub author: AuthorEmail,
    /// What the agent does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When the document was created, in ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Fields that this version does not define.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl AgentMetadata {
    /// Creates a section from the required fields: texts, or values of the fields' types.
    ///
    /// # Errors
    ///
    /// If the name is not an [`AgentName`], the version is empty, or the author is not an e-mail
    /// address.
    pub fn new<N, A>(
        name: N,
        version: impl Into<String>,
        author: A,
    ) -> Result<Self, AgentConfigError>
    where
        N: TryInto<AgentName, Error: fmt::Display>,
        A: TryInto<AuthorEmail, Error: fmt::Display>,
    {
        let version = version.into();
        if version.trim().is_empty() {
            return Err(AgentConfigError::in_field(
                "metadata.version",
                EMPTY_VERSION,
            ));
        }
        Ok(Self {
            name: set("metadata.name", name)?,
            version,
            author: set("metadata.author", author)?,
            description: None,
            created: None,
            extra: Map::new(),
        })
    }

    /// Sets the description.
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets the time of creation: a [`Timestamp`], or a text in ISO 8601.
    ///
    /// # Errors
    ///
    /// If the text is not a time in ISO 8601.
    pub fn with_created<T>(mut self, created: T) -> Result<Self, AgentConfigError>
    where
        T: TryInto<Timestamp, Error: fmt::Display>,
    {
        self.created = Some(set("metadata.created", created)?);
        Ok(self)
    }
}

const EMPTY_VERSION: &str = "the version is empty, write one such as \"1.0.0\"";

/// Refuses a version without quotes: in YAML it is a number, and `1.10` would become `1.1`.
fn deserialize_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct VersionVisitor;

    impl Visitor<'_> for VersionVisitor {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a version in quotes, such as \"1.0.0\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            if text.trim().is_empty() {
                return Err(E::custom(EMPTY_VERSION));
            }
            Ok(text.to_owned())
        }
    }

    deserializer.deserialize_any(VersionVisitor)
}
