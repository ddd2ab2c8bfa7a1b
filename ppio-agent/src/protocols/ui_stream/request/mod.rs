//! The request for the next answer.

use ppio_agent_protocol::{ChatTool, InvocationRequest};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::chat::{Chat, ContinuedMessage};
use super::message::{UiMessage, UiRole};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UiRequest {
    /// The id of the chat.
    pub(super) id: String,
    messages: Vec<UiMessage>,
    #[serde(default)]
    trigger: Trigger,
    /// The message that is continued or written again.
    message_id: Option<String>,
    tools: Option<Tools>,
    state: Option<Value>,
    /// All other members, which the page adds to its requests.
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Deserialize, Default, PartialEq, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Trigger {
    #[default]
    SubmitMessage,
    RegenerateMessage,
}

/// The tools of the page: a list, or an object whose keys are their names, as in the AI SDK.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tools {
    List(Vec<ChatTool>),
    Named(Map<String, Value>),
}

impl UiRequest {
    /// Returns the request to the agent, and the data that the stream of its answer needs.
    pub(super) fn into_request(mut self) -> (InvocationRequest, Chat) {
        let continued = self.continued_message();
        let tools = self.tools.map(Tools::into_list).unwrap_or_default();
        let chat = Chat {
            tools: tools.iter().map(|tool| tool.name.clone()).collect(),
            continued,
        };
        let decisions = chat.continued.iter().flat_map(ContinuedMessage::decisions);
        let resume = decisions.map(|decision| decision.response).collect();
        let messages = self.messages.into_iter().flat_map(UiMessage::into_messages);
        let mut request = InvocationRequest::of_messages(messages.collect())
            .with_stream(true)
            .with_thread_id(self.id)
            .with_tools(tools)
            .with_resume(resume);
        request.state = self.state;
        if self.trigger == Trigger::RegenerateMessage {
            let trigger = ("trigger".to_owned(), "regenerate-message".into());
            request.extra.extend([trigger]);
        }
        request.metadata = (!self.more.is_empty()).then_some(self.more);
        (request, chat)
    }

    /// Returns the message that the answer is added to: the message that the request names,
    /// otherwise the last message. Returns `None` if that message is not the assistant's, or if the
    /// page requests a message to be written again.
    fn continued_message(&mut self) -> Option<ContinuedMessage> {
        if self.trigger != Trigger::SubmitMessage {
            return None;
        }
        let is_named = |message: &&UiMessage| Some(&message.id) == self.message_id.as_ref();
        let named = self.messages.iter().find(is_named);
        let message = named.or(self.messages.last())?;
        (message.role == UiRole::Assistant).then(|| ContinuedMessage {
            id: message.id.clone(),
            parts: message.parts.clone(),
        })
    }
}

impl Tools {
    fn into_list(self) -> Vec<ChatTool> {
        match self {
            Self::List(tools) => tools,
            Self::Named(tools) => tools.into_iter().map(named_tool).collect(),
        }
    }
}

fn named_tool((name, mut tool): (String, Value)) -> ChatTool {
    let mut named = ChatTool::new(name);
    named.description = tool["description"].as_str().map(str::to_owned);
    let schema = ["parameters", "inputSchema"]
        .into_iter()
        .find_map(|member| tool.get_mut(member).map(Value::take));
    named.parameters = schema;
    named
}

#[cfg(test)]
mod tests;
