//! The data of a request that the stream of its answer needs, even when the stream is read again.

use ppio_agent_protocol::{InterruptResponse, InterruptStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The maximum size of the data of a request that is kept with the parts of the continued message,
/// in bytes. Without the parts, the size is not limited.
const MAX_KEPT: usize = 256 << 10;

/// The data of a request that the stream of its answer needs. The data is kept with the run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Chat {
    /// The names of the tools that the page runs.
    pub(super) tools: Vec<String>,
    /// The assistant's message that the answer continues, if the answer is not a message of its
    /// own.
    pub(super) continued: Option<ContinuedMessage>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ContinuedMessage {
    pub(super) id: String,
    pub(super) parts: Vec<Value>,
}

/// A part that is a tool call.
pub(super) struct ToolPart<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) state: &'a str,
    /// Whether the page has no type for the tool.
    pub(super) is_dynamic: bool,
    pub(super) part: &'a Value,
}

/// A person's decision about an interrupt.
pub(super) struct InterruptDecision<'a> {
    pub(super) tool: ToolPart<'a>,
    pub(super) response: InterruptResponse,
    /// Whether the call was created for the interrupt alone, because the agent named no call of the
    /// message.
    pub(super) is_own_call: bool,
}

impl Chat {
    /// Returns the JSON that is kept with the run. If the parts of the continued message are too
    /// large, the parts are left out, and a page that reads the stream again does not receive these
    /// parts.
    pub(super) fn to_kept(&self) -> String {
        let kept = json!(self).to_string();
        match &self.continued {
            Some(message) if kept.len() > MAX_KEPT => {
                let continued = json!({"id": message.id, "parts": []});
                json!({"tools": self.tools, "continued": continued}).to_string()
            }
            _ => kept,
        }
    }
}

impl<'a> ToolPart<'a> {
    pub(super) fn of(part: &'a Value) -> Option<Self> {
        let part_type = part["type"].as_str()?;
        let (name, is_dynamic) = if part_type == "dynamic-tool" {
            (part["toolName"].as_str()?, true)
        } else {
            (part_type.strip_prefix("tool-")?, false)
        };
        Some(Self {
            id: part["toolCallId"].as_str()?,
            name,
            state: part["state"].as_str()?,
            is_dynamic,
            part,
        })
    }

    /// Returns the id of the interrupt for which the call was created; `None` for a call of the
    /// agent.
    fn own_interrupt(&self) -> Option<&'a str> {
        let interrupt = self.part["input"]["interruptId"].as_str();
        interrupt.filter(|id| *id == self.id)
    }

    /// Returns the input of a call that is created for an interrupt. Such a call is later
    /// recognized by its input.
    pub(super) fn input_of_interrupt(
        id: &str,
        reason: &str,
        message: Option<&str>,
        response_schema: Option<&Value>,
    ) -> Value {
        let mut input = json!({"interruptId": id, "reason": reason});
        if let Some(message) = message {
            input["message"] = message.into();
        }
        if let Some(schema) = response_schema {
            input["responseSchema"] = schema.clone();
        }
        input
    }

    fn decision(self) -> Option<InterruptDecision<'a>> {
        let own = self.own_interrupt();
        let approval = &self.part["approval"];
        let response = match (self.state, own) {
            ("approval-responded", _) => {
                let mut payload = json!({"approved": approval["approved"] == true});
                if let Some(reason) = approval["reason"].as_str() {
                    payload["reason"] = reason.into();
                }
                InterruptResponse::resolved(approval["id"].as_str()?, payload)
            }
            // The response of the page is a value, not only an approval or a denial.
            ("output-available", Some(id)) => {
                InterruptResponse::resolved(id, self.part["output"].clone())
            }
            ("output-error", Some(id)) => InterruptResponse::cancelled(id),
            _ => return None,
        };
        Some(InterruptDecision {
            is_own_call: own.is_some(),
            tool: self,
            response,
        })
    }
}

impl InterruptDecision<'_> {
    pub(super) fn is_denial(&self) -> bool {
        self.response.status == InterruptStatus::Resolved
            && self.response.payload["approved"] == false
    }
}

impl ContinuedMessage {
    /// Returns the decisions about the interrupts of the previous answer, from its last step.
    pub(super) fn decisions(&self) -> impl Iterator<Item = InterruptDecision<'_>> {
        let is_step = |part: &Value| part["type"] == "step-start";
        let last_step = self.parts.iter().rposition(is_step);
        let parts = &self.parts[last_step.map_or(0, |at| at + 1)..];
        let tools = parts.iter().filter_map(ToolPart::of);
        tools.filter_map(ToolPart::decision)
    }

    pub(super) fn has_call(&self, id: &str) -> bool {
        let mut tools = self.parts.iter().filter_map(ToolPart::of);
        tools.any(|tool| tool.id == id)
    }
}
