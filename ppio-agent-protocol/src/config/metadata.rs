//! `metadata`.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::agent_name::AgentName;
use super::author_email::AuthorEmail;

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
    pub created: Option<String>,
    /// Fields that this version does not define.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl AgentMetadata {
    /// Creates a section of the required fields.
    pub fn new(name: AgentName, version: impl Into<String>, author: AuthorEmail) -> Self {
        Self {
            name,
            version: version.into(),
            author,
            description: None,
            created: None,
            extra: Map::new(),
        }
    }

    /// Sets the description.
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets the time of creation, in ISO 8601.
    pub fn with_created(mut self, created: impl Into<String>) -> Self {
        self.created = Some(created.into());
        self
    }
}

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
                return Err(E::custom(
                    "the version is empty, write one such as \"1.0.0\"",
                ));
            }
            Ok(text.to_owned())
        }
    }

    deserializer.deserialize_any(VersionVisitor)
}
