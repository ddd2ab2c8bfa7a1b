//! The request for a response.

use ppio_agent_protocol::{ChatMessage, ChatTool, InvocationRequest};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::input;
use super::kept::Kept;
use crate::exchange::error::Error;
use crate::protocols::openai::tools::{CallerTools, FunctionTool, other_tool};
use crate::protocols::openai::{does_not_fit, unsupported, without_own_names};

/// The body of a request.
#[derive(Deserialize)]
pub(super) struct ResponseRequest {
    #[serde(default)]
    input: Value,
    model: Option<String>,
    instructions: Option<String>,
    pub(super) previous_response_id: Option<String>,
    conversation: Option<Value>,
    stream: Option<bool>,
    stream_options: Option<Map<String, Value>>,
    background: Option<bool>,
    store: Option<bool>,
    tools: Option<Vec<Value>>,
    max_output_tokens: Option<u64>,
    temperature: Option<f64>,
    user: Option<String>,
    metadata: Option<Map<String, Value>>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

/// Whether a response is stored, and whether the caller waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The response is not kept after its connection ends.
    NotStored,
    /// The response can be read again.
    Stored,
    /// The response is stored, and the caller need not wait for it.
    Background,
}

impl ResponseRequest {
    /// Converts the request to an invocation that continues the items in `previous`.
    pub(super) fn into_invocation(
        mut self,
        agent: &str,
        previous: Vec<Value>,
        thread: Option<String>,
    ) -> Result<(InvocationRequest, Mode, Kept), Error> {
        let mode = match (self.background, self.store) {
            (Some(true), Some(false)) => {
                return Err(unsupported(
                    "`background` needs a response that is stored; leave `store` out",
                ));
            }
            (Some(true), _) => Mode::Background,
            (_, Some(false)) => Mode::NotStored,
            _ => Mode::Stored,
        };
        if self
            .extra
            .get("prompt")
            .is_some_and(|prompt| !prompt.is_null())
        {
            let message = "`prompt` names a template that the agent does not have; send `input`";
            return Err(unsupported(message));
        }
        let conversation = self.conversation_id()?;
        let sent_tools = self.tools.take().unwrap_or_default();
        let echo = self.echo(agent, mode, conversation.as_deref(), &sent_tools);
        let tools = read_tools(sent_tools)?;

        let sent = input::items(std::mem::take(&mut self.input))?;
        let items = (mode != Mode::NotStored).then(|| [&previous[..], &sent].concat());
        let mut messages = Vec::new();
        input::add(previous, &mut messages)?;
        input::add(sent, &mut messages)?;
        if messages.is_empty() {
            return Err(does_not_fit(
                "input",
                "expected a string or a list of items",
            ));
        }
        let kept = Kept {
            echo,
            tools: CallerTools::of(&tools),
            items,
        };
        let of_messages = InvocationRequest::of_messages(messages);
        let mut extra = without_own_names(self.extra);
        if let Some(model) = self.model {
            extra.insert("model".to_owned(), model.into());
        }
        // An extra member named like a member of `InvocationRequest`, such as `state`, sets that
        // member.
        let mut request = InvocationRequest::from(Value::Object(extra));
        request.prompt = of_messages.prompt;
        let instructions = self.instructions.map(ChatMessage::system);
        request.messages = instructions
            .into_iter()
            .chain(of_messages.messages)
            .collect();
        request.thread_id = conversation.or(request.thread_id).or(thread);
        request.stream = self.stream.unwrap_or(false);
        request.stream_options = self.stream_options;
        request.max_tokens = self.max_output_tokens;
        request.temperature = self.temperature;
        request.user_id = self.user;
        request.metadata = self.metadata;
        request.tools = tools;
        Ok((request, mode, kept))
    }

    /// Returns the id of the conversation. The agent itself keeps the conversation.
    fn conversation_id(&self) -> Result<Option<String>, Error> {
        let id = match &self.conversation {
            None => return Ok(None),
            Some(Value::Object(conversation)) => conversation.get("id").and_then(Value::as_str),
            Some(conversation) => conversation.as_str(),
        };
        let Some(id) = id else {
            return Err(does_not_fit(
                "conversation",
                "expected an id, or an object with an `id`",
            ));
        };
        if self.previous_response_id.is_some() {
            let message = "`previous_response_id` and `conversation` cannot be combined; send one";
            return Err(unsupported(message));
        }
        Ok(Some(id.to_owned()))
    }

    /// Returns the members of the request that the response repeats.
    fn echo(
        &self,
        agent: &str,
        mode: Mode,
        conversation: Option<&str>,
        tools: &[Value],
    ) -> Map<String, Value> {
        let mut echo = Map::new();
        let mut set = |name: &str, value: Value| echo.insert(name.to_owned(), value);
        set("model", self.model.as_deref().unwrap_or(agent).into());
        set("instructions", json!(self.instructions));
        set("previous_response_id", json!(self.previous_response_id));
        set("background", (mode == Mode::Background).into());
        set("store", (mode != Mode::NotStored).into());
        set("tools", tools.into());
        set("max_output_tokens", json!(self.max_output_tokens));
        set("temperature", json!(self.temperature));
        set(
            "metadata",
            json!(self.metadata.as_ref().unwrap_or(&Map::new())),
        );
        if let Some(user) = &self.user {
            set("user", user.as_str().into());
        }
        if let Some(id) = conversation {
            set("conversation", json!({"id": id}));
        }
        for (name, default) in [
            ("parallel_tool_calls", json!(true)),
            ("tool_choice", json!("auto")),
            ("top_p", Value::Null),
            ("reasoning", Value::Null),
            ("text", json!({"format": {"type": "text"}})),
            ("truncation", json!("disabled")),
        ] {
            let value = self.extra.get(name).filter(|value| !value.is_null());
            set(name, value.cloned().unwrap_or(default));
        }
        echo
    }
}

fn read_tools(tools: Vec<Value>) -> Result<Vec<ChatTool>, Error> {
    let tools = tools.into_iter().enumerate();
    tools
        .map(|(at, tool)| match tool["type"].as_str() {
            Some("function") => match serde_json::from_value::<FunctionTool>(tool) {
                Ok(function) => Ok(function.into()),
                Err(error) => Err(does_not_fit(&format!("tools[{at}]"), &error.to_string())),
            },
            Some(kind) => Err(other_tool(kind, at)),
            None => Err(does_not_fit(
                &format!("tools[{at}]"),
                "expected an object with a `type`",
            )),
        })
        .collect()
}
