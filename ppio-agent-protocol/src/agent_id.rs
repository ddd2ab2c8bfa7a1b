//! The id of a deployed agent.

use std::fmt;
use std::str::FromStr;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};

use crate::config::AgentName;
use crate::text::{self, excerpt};

/// The id of a deployed agent: the agent's name and the template of its sandboxes.
///
/// Displays as `{name}-{template id}` with `_` for each `-` of the name, so that the last `-`
/// separates the two. Parsing also accepts an ARN; the id is its part after the last `/`.
///
/// ```
/// use ppio_agent_protocol::{AgentId, AgentName};
///
/// let id = AgentId::new(&"my-agent".parse::<AgentName>()?, "tmpl_abc123")?;
/// assert_eq!(id.to_string(), "my_agent-tmpl_abc123");
///
/// let arn = "arn:aws:bedrock-agentcore:us-west-2:1234:runtime/my_agent-tmpl_abc123";
/// let id: AgentId = arn.parse()?;
/// assert_eq!(id.template_id(), "tmpl_abc123");
/// assert_eq!(id.agent_name(), "my-agent");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId {
    /// The name with hyphens. An id from another tool may have a name that is not an [`AgentName`].
    agent_name: String,
    template_id: String,
}

/// An error from parsing or building an [`AgentId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAgentId {
    /// The text has no `-` between a name and a template id.
    #[error("{0:?} is not an agent id, write `name-template_id` such as `my_agent-tmpl_abc123`")]
    NotTwoParts(String),
    /// The template id is empty, or contains `-`, `/`, white space or control characters.
    #[error("{0:?} is not a template id of an agent id, use letters, digits and `_`")]
    TemplateId(String),
}

impl AgentId {
    /// Creates the id of an agent.
    ///
    /// # Errors
    ///
    /// If the template id is empty, or contains `-`, `/`, white space or control characters.
    pub fn new(agent_name: &AgentName, template_id: &str) -> Result<Self, InvalidAgentId> {
        Self::from_parts(agent_name.as_str(), template_id)
    }

    /// Returns the agent's name, with hyphens.
    pub fn agent_name(&self) -> &str {
        &self.agent_name
    }

    /// Returns the id of the template of the agent's sandboxes.
    pub fn template_id(&self) -> &str {
        &self.template_id
    }

    fn from_parts(agent_name: &str, template_id: &str) -> Result<Self, InvalidAgentId> {
        let forbidden = |c: char| matches!(c, '-' | '/') || c.is_whitespace() || c.is_control();
        if template_id.is_empty() || template_id.contains(forbidden) {
            return Err(InvalidAgentId::TemplateId(excerpt(template_id)));
        }
        Ok(Self {
            agent_name: agent_name.replace('_', "-"),
            template_id: template_id.to_owned(),
        })
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}",
            self.agent_name.replace('-', "_"),
            self.template_id
        )
    }
}

impl FromStr for AgentId {
    type Err = InvalidAgentId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text.rsplit_once('/').map_or(text, |(_, id)| id);
        match id.rsplit_once('-') {
            Some((agent_name, template_id)) if !agent_name.is_empty() => {
                Self::from_parts(agent_name, template_id)
            }
            _ => Err(InvalidAgentId::NotTwoParts(excerpt(text))),
        }
    }
}

impl Serialize for AgentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AgentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "an agent id such as `my_agent-tmpl_abc123`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_ids_and_arns() {
        for (text, name, template) in [
            ("a-t", "a", "t"),
            ("my_agent-tmpl_1", "my-agent", "tmpl_1"),
            ("my-agent-tmpl_1", "my-agent", "tmpl_1"),
            ("arn:aws:bedrock:x:1:runtime/my_agent-t", "my-agent", "t"),
            ("a/b-c/d-e", "d", "e"),
            ("健康-t", "健康", "t"),
        ] {
            let id: AgentId = text.parse().unwrap();
            assert_eq!(
                (id.agent_name(), id.template_id()),
                (name, template),
                "{text:?}"
            );
        }
    }

    #[test]
    fn rejects_everything_else() {
        for text in [
            "",
            "-",
            "a",
            "a-",
            "-t",
            "a-b/",
            "arn:aws:x/",
            "a-t t",
            "a-t\n",
            "tmpl_1",
        ] {
            assert!(text.parse::<AgentId>().is_err(), "{text:?}");
        }
        let name: AgentName = "a".parse().unwrap();
        for template in ["", "a-b", "a/b", " ", "a\0"] {
            let error = AgentId::new(&name, template).unwrap_err();
            assert_eq!(error, InvalidAgentId::TemplateId(template.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn displayed_ids_are_parsed(
            name in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?",
            template in "[A-Za-z0-9_]{1,20}",
        ) {
            let name: AgentName = name.parse().unwrap();
            let id = AgentId::new(&name, &template).unwrap();
            let read: AgentId = id.to_string().parse().unwrap();
            prop_assert_eq!(read.agent_name(), name.as_str());
            prop_assert_eq!(read, id);
        }
    }
}
