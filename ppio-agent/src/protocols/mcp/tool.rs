//! The agent's function as a tool.

use serde_json::{Value, json};

use super::tool_schema::{InputSchema, output_schema};
use crate::exchange::agent_info::AgentInfo;
use crate::protocols::Protocols;

/// The maximum length of a tool's name, in characters.
const MAX_NAME: usize = 128;

/// The agent's function as a tool.
pub(super) struct AgentTool {
    pub(super) name: String,
    description: &'static str,
    pub(super) input: InputSchema,
    output: Option<Value>,
}

impl AgentTool {
    pub(super) fn of(protocols: &Protocols) -> Self {
        let AgentInfo {
            name, description, ..
        } = *protocols.agent();
        let schema = protocols.schema().get();
        let request = schema.map(|schema| schema.request.as_value());
        Self {
            name: tool_name(name),
            description,
            input: InputSchema::of(request.unwrap_or(&json!({}))),
            output: schema.and_then(|schema| output_schema(&schema.reply)),
        }
    }

    /// Returns the JSON of the tool in a list of tools.
    pub(super) fn to_json(&self) -> Value {
        let mut tool = json!({"name": self.name, "inputSchema": self.input.schema});
        if !self.description.is_empty() {
            tool["description"] = self.description.into();
        }
        if let Some(output) = &self.output {
            tool["outputSchema"] = output.clone();
        }
        tool
    }
}

/// Returns the first `MAX_NAME` characters of the agent's name as the name of a tool: characters
/// that are not allowed become `_`.
fn tool_name(agent: &str) -> String {
    let usual = |char: char| char.is_ascii_alphanumeric() || "_-.".contains(char);
    let chars = agent.chars().take(MAX_NAME);
    chars
        .map(|char| if usual(char) { char } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_name_has_only_allowed_characters() {
        assert_eq!(tool_name("weather-agent.v2_x"), "weather-agent.v2_x");
        assert_eq!(tool_name("caf\u{e9} au lait"), "caf__au_lait");
        assert_eq!(tool_name(&"a".repeat(200)).len(), MAX_NAME);
    }
}
