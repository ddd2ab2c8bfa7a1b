//! The request for a chat completion.

use ppio_agent_protocol::{ChatTool, InvocationRequest};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::CompletionFormat;
use super::message::CompletionMessage;
use crate::exchange::error::Error;
use crate::protocols::openai::tools::{CallerTools, FunctionTool, other_tool};
use crate::protocols::openai::{does_not_fit, unsupported, without_own_names};

/// The body of a request.
#[derive(Deserialize)]
pub(super) struct CompletionRequest {
    messages: Vec<CompletionMessage>,
    model: Option<String>,
    stream: Option<bool>,
    stream_options: Option<Map<String, Value>>,
    tools: Option<Vec<Tool>>,
    /// The tools in the older form, which `tools` replaces.
    functions: Option<Vec<FunctionTool>>,
    n: Option<u64>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    temperature: Option<f64>,
    user: Option<String>,
    metadata: Option<Map<String, Value>>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Deserialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: String,
    function: Option<FunctionTool>,
}

impl CompletionRequest {
    /// Converts the request to an invocation and the format of its answer.
    pub(super) fn into_invocation(
        self,
        agent: &str,
    ) -> Result<(InvocationRequest, CompletionFormat), Error> {
        if let Some(n @ 2..) = self.n {
            let message = format!("`n` is {n}; the agent gives one answer, so leave `n` out");
            return Err(unsupported(message));
        }
        let modalities = self.extra.get("modalities").and_then(Value::as_array);
        if modalities.is_some_and(|wanted| wanted.iter().any(|modality| modality != "text")) {
            let message =
                "`modalities` must be `[\"text\"]`; send only `text`, or leave `modalities` out";
            return Err(unsupported(message));
        }
        if self.messages.is_empty() {
            return Err(does_not_fit("messages", "expected at least one message"));
        }
        let messages = self.messages.into_iter().enumerate();
        let messages = messages.map(|(at, message)| message.into_chat(at));
        let messages = messages.collect::<Result<Vec<_>, _>>()?;
        let calls_one_function = self.tools.is_none() && self.functions.is_some();
        let tools = match (self.tools, self.functions) {
            (Some(tools), _) => read_tools(tools)?,
            (None, functions) => functions.into_iter().flatten().map(Into::into).collect(),
        };

        let mut extra = without_own_names(self.extra);
        if let Some(model) = &self.model {
            extra.insert("model".to_owned(), model.as_str().into());
        }
        let of_messages = InvocationRequest::of_messages(messages);
        // An extra member named like a member of `InvocationRequest`, such as `state`, sets that
        // member.
        let mut request = InvocationRequest::from(Value::Object(extra));
        request.prompt = of_messages.prompt;
        request.messages = of_messages.messages;
        request.stream = self.stream.unwrap_or(false);
        request.max_tokens = self.max_completion_tokens.or(self.max_tokens);
        request.temperature = self.temperature;
        request.user_id = self.user;
        request.metadata = self.metadata;
        let format = CompletionFormat {
            model: self.model.unwrap_or_else(|| agent.to_owned()),
            tools: CallerTools::of(&tools),
            calls_one_function,
            include_usage: self
                .stream_options
                .as_ref()
                .is_some_and(|options| options.get("include_usage") == Some(&Value::Bool(true))),
        };
        request.tools = tools;
        request.stream_options = self.stream_options;
        Ok((request, format))
    }
}

fn read_tools(tools: Vec<Tool>) -> Result<Vec<ChatTool>, Error> {
    let tools = tools.into_iter().enumerate();
    tools
        .map(|(at, tool)| match tool.function {
            Some(function) if tool.kind == "function" => Ok(function.into()),
            None if tool.kind == "function" => Err(does_not_fit(
                &format!("tools[{at}]"),
                "missing field `function`",
            )),
            _ => Err(other_tool(&tool.kind, at)),
        })
        .collect()
}
