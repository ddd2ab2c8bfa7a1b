//! MCP, version 2026-07-28, which needs no `initialize`: calls the agent's tool.

use ppio_agent_client::InvocationOutput;
use ppio_agent_protocol::ChatEvent;
use serde_json::{Map, Value, json};

use super::tool_calls::OpenToolCalls;
use super::{AgentFailure, AnswerPart, AnswerReader, Sender, path};
use crate::arguments::AgentProtocol;
use crate::error::{CliError, ExitKind};
use crate::platform::PrintError;

const VERSION: &str = "2026-07-28";

/// Finds the tool of the agent and calls it.
pub(super) async fn call(
    sender: &Sender<'_>,
    arguments: &Map<String, Value>,
) -> Result<InvocationOutput, PrintError> {
    let list = send(sender, "tools/list", Map::new(), None).await?;
    let InvocationOutput::Value(list) = list else {
        return Err(unusable("the agent answered `tools/list` with a stream").into());
    };
    let request_id = list.request_id().unwrap_or_default().to_owned();
    let list = list.result.unwrap_or_default();
    if let Some(error) = list.get("error") {
        let failure = AgentFailure::of_error(error);
        let error = failure.into_error(sender.session.sandbox_id(), &request_id);
        return Err(PrintError::Client(error));
    }
    let tools = list["result"]["tools"].as_array();
    let tools = tools.map(Vec::as_slice).unwrap_or_default();
    let [tool] = tools else {
        let message = format!(
            "the agent has {} tools; `--protocol mcp` calls an agent with one tool",
            tools.len()
        );
        return Err(unusable(message).into());
    };
    let name = tool["name"].as_str().unwrap_or_default();
    let params = Map::from_iter([
        ("name".to_owned(), name.into()),
        ("arguments".to_owned(), fitting(arguments, tool).into()),
    ]);
    send(sender, "tools/call", params, Some(name)).await
}

/// Returns the arguments for the tool. A prompt becomes the `input` if the tool has an `input` and
/// no `prompt`, and if no `input` is given.
fn fitting(arguments: &Map<String, Value>, tool: &Value) -> Map<String, Value> {
    let known = &tool["inputSchema"]["properties"];
    let mut arguments = arguments.clone();
    if known.get("prompt").is_none()
        && known.get("input").is_some()
        && !arguments.contains_key("input")
        && let Some(prompt) = arguments.remove("prompt")
    {
        arguments.insert("input".to_owned(), prompt);
    }
    arguments
}

async fn send(
    sender: &Sender<'_>,
    method: &str,
    mut params: Map<String, Value>,
    tool: Option<&str>,
) -> Result<InvocationOutput, PrintError> {
    let mut meta = json!({
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {
            "name": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
        },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let mut headers = vec![("mcp-protocol-version", VERSION), ("mcp-method", method)];
    if let Some(tool) = tool {
        meta["progressToken"] = 1.into();
        headers.push(("mcp-name", tool));
    }
    params.insert("_meta".to_owned(), meta);
    let request = Map::from_iter([
        ("jsonrpc".to_owned(), "2.0".into()),
        ("id".to_owned(), 1.into()),
        ("method".to_owned(), method.into()),
        ("params".to_owned(), params.into()),
    ]);
    let sent = sender.post(path(AgentProtocol::Mcp), &request, &headers);
    sent.await.map_err(PrintError::Client)
}

fn unusable(message: impl Into<String>) -> CliError {
    CliError::new(ExitKind::Agent, message)
}

/// Reads the progress of a call, and its result.
#[derive(Debug, Default)]
pub(super) struct CallReader {
    calls: OpenToolCalls,
    /// Whether there was progress. The progress contains everything that the result contains.
    has_progress: bool,
    is_complete: bool,
}

impl CallReader {
    /// Reads an item: a text, or the JSON of a `ChatEvent` or of another value.
    fn read_item(&mut self, item: &str, parts: &mut Vec<AnswerPart>) {
        let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(item) else {
            return parts.push(AnswerPart::Text(item.to_owned()));
        };
        match serde_json::from_value(value.clone()) {
            Ok(event) => self.read_event(event, parts),
            Err(_) => parts.push(AnswerPart::Value(value)),
        }
    }

    fn read_event(&mut self, event: ChatEvent, parts: &mut Vec<AnswerPart>) {
        match event {
            ChatEvent::TextDelta { text } => parts.push(AnswerPart::Text(text)),
            ChatEvent::ToolCallStart { id, name } => self.calls.start(&id, &name),
            ChatEvent::ToolCallArguments { id, delta } => self.calls.add_arguments(&id, &delta),
            ChatEvent::ToolCallEnd { id } => parts.extend(self.calls.end(&id)),
            ChatEvent::ToolResult {
                result, is_error, ..
            } => parts.push(AnswerPart::tool_result(&result, is_error)),
            ChatEvent::Data { name, data } => parts.push(AnswerPart::Value(json!({name: data}))),
            ChatEvent::Interrupt {
                id,
                reason,
                message,
                ..
            } => parts.push(AnswerPart::interrupt(&id, &reason, message.as_deref())),
            // Reasoning, states, steps and tokens, which the other protocols leave out as well.
            _ => {}
        }
    }
}

impl AnswerReader for CallReader {
    fn read(&mut self, event: &Value, parts: &mut Vec<AnswerPart>) -> Result<(), AgentFailure> {
        if event["method"] == "notifications/progress" {
            self.has_progress = true;
            let message = event["params"]["message"].as_str();
            self.read_item(message.unwrap_or_default(), parts);
            return Ok(());
        }
        if let Some(error) = event.get("error") {
            return Err(AgentFailure::of_error(error));
        }
        let Some(result) = event.get("result") else {
            return Ok(());
        };
        self.is_complete = true;
        let content = result["content"].as_array();
        let content = content.map(Vec::as_slice).unwrap_or_default();
        if result["isError"] == true {
            let texts = content.iter().filter_map(|part| part["text"].as_str());
            return Err(AgentFailure::new(texts.collect::<String>()));
        }
        if self.has_progress {
            return Ok(());
        }
        for part in content {
            match part["text"].as_str() {
                Some(text) => self.read_item(text, parts),
                None => parts.push(AnswerPart::Value(part.clone())),
            }
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}
