//! Writes an existing message as chunks, for a page that reads the stream of the message again:
//! such a page drops the parts that it has.

use serde_json::Value;

use super::chat::ToolPart;
use super::chunk::Chunk;
use crate::protocols::events::EventWriter;

pub(super) fn restore(parts: &[Value], events: &mut EventWriter) {
    let mut in_step = false;
    for (number, part) in parts.iter().enumerate() {
        let id = &format!("restored-{number}");
        let text = || part["text"].as_str().unwrap_or_default();
        match part["type"].as_str() {
            Some("step-start") => {
                if std::mem::replace(&mut in_step, true) {
                    events.json(&Chunk::FinishStep);
                }
                events.json(&Chunk::StartStep);
            }
            Some("text") => {
                events.json(&Chunk::TextStart { id });
                events.json(&Chunk::TextDelta { id, delta: text() });
                events.json(&Chunk::TextEnd { id });
            }
            Some("reasoning") => {
                events.json(&Chunk::ReasoningStart { id });
                events.json(&Chunk::ReasoningDelta { id, delta: text() });
                events.json(&Chunk::ReasoningEnd { id });
            }
            // The chunk of any other part is the part itself.
            Some(_) => match ToolPart::of(part) {
                Some(tool) => restore_call(&tool, events),
                None => events.json(part),
            },
            None => {}
        }
    }
    if in_step {
        events.json(&Chunk::FinishStep);
    }
}

fn restore_call(tool: &ToolPart<'_>, events: &mut EventWriter) {
    let (tool_call_id, part) = (tool.id, tool.part);
    let provider_executed = part["providerExecuted"] == true;
    if tool.state == "input-streaming" {
        return;
    }
    events.json(&Chunk::ToolInputAvailable {
        tool_call_id,
        tool_name: tool.name,
        input: &part["input"],
        dynamic: tool.is_dynamic,
        provider_executed,
    });
    let approval = &part["approval"];
    if let Some(approval_id) = approval["id"].as_str() {
        events.json(&Chunk::ToolApprovalRequest {
            approval_id,
            tool_call_id,
            reason: approval["requestReason"].as_str(),
        });
        if let Some(approved) = approval["approved"].as_bool() {
            events.json(&Chunk::ToolApprovalResponse {
                approval_id,
                approved,
                reason: approval["reason"].as_str(),
            });
        }
    }
    match tool.state {
        "output-available" => events.json(&Chunk::ToolOutputAvailable {
            tool_call_id,
            output: &part["output"],
            provider_executed,
        }),
        "output-error" => events.json(&Chunk::ToolOutputError {
            tool_call_id,
            error_text: part["errorText"].as_str().unwrap_or_default(),
            provider_executed,
        }),
        "output-denied" => events.json(&Chunk::ToolOutputDenied { tool_call_id }),
        _ => {}
    }
}
