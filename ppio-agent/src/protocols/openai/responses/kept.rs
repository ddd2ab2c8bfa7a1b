//! What is kept of a response beside its answer, and how it is found again.

use std::sync::Arc;

use http::HeaderMap;
use ppio_agent_protocol::{
    ChatMessage, ChatPart, ChatRole, InvocationRequest, RunStatus, ToolCall,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{is_gone, reattach};
use crate::exchange::Exchange;
use crate::exchange::error::Error;
use crate::exchange::json::line;
use crate::protocols::ProtocolAgent;
use crate::protocols::openai::tools::CallerTools;
use crate::protocols::whole::WholeAnswer;
use crate::runs::options::RunTag;
use crate::runs::run::Run;
use crate::runs::{self};

/// The id of a response is this and the id of its run.
pub(super) const PREFIX: &str = "resp_";

const PROTOCOL: &str = "openai";

/// What is kept of the request of a response.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    /// The members that the response repeats.
    pub(super) echo: Map<String, Value>,
    pub(super) tools: CallerTools,
    /// The messages of the request, without its instructions; `None` if they are too large.
    pub(super) messages: Option<Vec<ChatMessage>>,
}

impl Kept {
    /// The tag of the run. Messages that are larger than a run may be are left out.
    pub(super) fn tag(&self, request: &InvocationRequest, max_size: usize) -> RunTag {
        let mut data = line(self);
        if data.len() > max_size {
            data = line(&Self {
                echo: self.echo.clone(),
                tools: self.tools.clone(),
                messages: None,
            });
        }
        RunTag {
            protocol: PROTOCOL.to_owned(),
            thread: request.thread_id.clone(),
            data,
        }
    }
}

/// The run of a response, and what is kept of its request.
pub(super) fn find(
    agent: &ProtocolAgent<'_>,
    headers: &HeaderMap,
    id: &str,
) -> Result<(Arc<Run>, Kept), Error> {
    let found = id
        .strip_prefix(PREFIX)
        .and_then(|id| runs::find(agent.runs, headers, id).ok());
    let kept = found.and_then(|run| {
        let tag = run.tag().filter(|tag| tag.protocol == PROTOCOL)?;
        let kept = serde_json::from_str(&tag.data).ok()?;
        Some((run, kept))
    });
    kept.ok_or_else(|| {
        let id: String = id.chars().take(64).collect();
        let message = format!(
            "no response {id:?} is kept here; it may have expired, was not stored, or is another \
             caller's"
        );
        Error::not_found(message).with_type("ResponseNotFound")
    })
}

/// The messages up to the end of a response, and the id of the chat that it belongs to.
pub(super) async fn conversation(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    headers: &HeaderMap,
    id: &str,
) -> Result<(Vec<ChatMessage>, Option<String>), Error> {
    let (run, kept) = find(agent, headers, id)?;
    let cannot = |why: &str| {
        let message = format!("cannot continue response {id:?}: {why}");
        Error::bad_request(message).with_type("PreviousResponse")
    };
    match run.status() {
        RunStatus::Success => {}
        RunStatus::Running => return Err(cannot("it is in progress; wait until it has ended")),
        _ => {
            return Err(cannot(
                "it did not complete; send its items as `input` instead",
            ));
        }
    }
    let Some(mut messages) = kept.messages else {
        return Err(cannot(
            "its input was too large to keep; send all items as `input` instead",
        ));
    };
    let answer = reattach(agent, exchange, &run).await?;
    let whole = match answer.into_whole().await {
        Ok((whole, _)) => whole,
        Err(error) if is_gone(&error) => return Err(error),
        Err(error) => return Err(cannot(error.message())),
    };
    messages.extend(message(whole, &kept.tools));
    let thread = run.tag().and_then(|tag| tag.thread.clone());
    Ok((messages, thread))
}

/// The message that an answer is in a chat.
fn message(mut answer: WholeAnswer, tools: &CallerTools) -> Option<ChatMessage> {
    answer.add_interrupt_text();
    let mut message = ChatMessage::of_parts(ChatRole::Assistant, Vec::new());
    if !answer.text.is_empty() {
        message.content.push(ChatPart::text(answer.text));
    }
    let calls = answer.tool_calls.into_iter();
    let calls = calls.filter(|call| tools.has(&call.name));
    message.tool_calls = calls
        .map(|call| ToolCall::new(call.id, call.name, call.arguments))
        .collect();
    if !answer.reasoning.is_empty() {
        let reasoning = answer.reasoning.into();
        message
            .extra
            .insert("reasoning_content".to_owned(), reasoning);
    }
    let is_empty = message.content.is_empty() && message.tool_calls.is_empty();
    (!is_empty).then_some(message)
}
