//! Begins a task, or continues one.

use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;
use ppio_agent_protocol::{ChatEvent, ChatMessage};
use serde_json::json;

use super::failure::{A2aError, A2aErrorKind};
use super::message::Sent;
use super::push::{PushConfig, RunReading};
use super::task::{TaskData, described, find, found, new_id, whole_of};
use super::wire::TaskIds;
use crate::exchange::Exchange;
use crate::exchange::context::session_header;
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::header_names::IDEMPOTENCY_KEY;
use crate::exchange::policies::OnDisconnect;
use crate::exchange::protocol::Protocol;
use crate::protocols::call::AgentAnswer;
use crate::protocols::{ProtocolAgent, call};
use crate::runs::tag::RunTag;

/// The largest message that is kept for the history of its task, in bytes of JSON.
const MAX_HISTORY: usize = 64 * 1024;

/// A task that was begun or continued.
pub(super) struct Started {
    pub(super) ids: TaskIds,
    pub(super) history: Vec<ChatMessage>,
    /// The answer, or the error if the agent failed before its answer began.
    pub(super) answer: Result<AgentAnswer, Error>,
}

/// Sends a message to the agent.
pub(super) async fn send(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    parts: Parts,
    sent: &Sent,
    stream: bool,
) -> Result<Started, A2aError> {
    let continued = match &sent.task {
        None => None,
        Some(id) => Some(continue_task(agent, exchange, &parts.headers, id).await?),
    };
    let (task, kept_context, interrupt, mut history) = match continued {
        Some(Continued {
            ids,
            interrupt,
            history,
        }) => (ids.task, Some(ids.context), interrupt, history),
        None => (new_id(), None, None, Vec::new()),
    };
    if let (Some(kept), Some(context)) = (&kept_context, &sent.context)
        && kept != context
    {
        let message = format!("the task has context {kept:?}; send this `contextId` or none");
        return Err(A2aError::new(A2aErrorKind::InvalidParams, message));
    }
    let push = agent.protocols.push();
    let config = match &sent.push {
        None => None,
        Some(wire) => {
            let wire = wire.clone();
            let config = PushConfig::of(wire, sent.version, push.allows_private()).await?;
            push.check_room(&task, &config)?;
            Some(Arc::new(config))
        }
    };
    // A request that is retried with its idempotency key has to be identical, so if it names no
    // context, the id of its message is used as the context.
    let keyed = || {
        parts
            .headers
            .contains_key(&IDEMPOTENCY_KEY)
            .then(|| sent.message.id.clone())
    };
    let context = kept_context
        .or_else(|| sent.context.clone())
        .or_else(|| keyed().flatten());
    let ids = TaskIds {
        task,
        context: context.unwrap_or_else(new_id),
    };
    let request = sent.request(&ids.context, &history, interrupt, stream);
    if json!(sent.message).to_string().len() <= MAX_HISTORY {
        history.push(sent.message.clone());
    }
    let data = TaskData {
        task: ids.task.clone(),
        history: history.clone(),
    };
    let tag = RunTag {
        protocol: Protocol::A2a.as_str().to_owned(),
        thread: Some(ids.context.clone()),
        data: serde_json::to_string(&data).unwrap_or_default(),
    };
    let options = call::run_options(agent, &parts.headers).map_err(A2aError::of_rejection)?;
    let options = if sent.returns_immediately && !stream {
        options.keep(OnDisconnect::Continue, tag).without_waiting()
    } else {
        options.continuing(tag)
    };
    let options = if config.is_some() || push.has_configs(&ids.task) {
        let (push, task) = (Arc::clone(push), ids.task.clone());
        let reader = RunReading::new(agent, exchange);
        options.on_start(move |run| push.started(&task, &reader.of(run), config))
    } else {
        options
    };
    let headers = parts.headers.clone();
    let answer = call::invoke(agent, exchange, parts, &request, options).await;
    if let Err(error) = &answer
        && find(agent, &headers, &ids.task).is_none()
    {
        // Without a run, the agent's function was not called.
        return Err(A2aError::of(&Failure::of(
            error,
            exchange.request_id.as_str(),
        )));
    }
    // An earlier request with the same idempotency key may have begun the task.
    let caller = agent.runs.caller(&headers, session_header(&headers));
    let run = match &answer {
        Ok(answer) => agent.runs.find(answer.request_id(exchange), &caller).ok(),
        Err(_) => None,
    };
    let (ids, history) = run.map_or((ids, history), |run| described(&run));
    Ok(Started {
        ids,
        history,
        answer,
    })
}

struct Continued {
    ids: TaskIds,
    interrupt: Option<String>,
    history: Vec<ChatMessage>,
}

/// Returns the task that a message continues; fails if the task does not wait for an answer.
async fn continue_task(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    headers: &HeaderMap,
    id: &str,
) -> Result<Continued, A2aError> {
    let run = found(agent, headers, id)?;
    let (ids, history) = described(&run);
    if !run.status().is_ended() {
        let message = "the task is still working; wait for its end, or start another one";
        return Err(A2aError::new(A2aErrorKind::UnsupportedOperation, message));
    }
    let whole = whole_of(agent.invoker, exchange, &run).await;
    if run.withdrawn_at().is_none()
        && let Ok(Some(ChatEvent::Interrupt { id, .. })) = whole.map(|whole| whole.interrupt)
    {
        return Ok(Continued {
            ids,
            interrupt: Some(id),
            history,
        });
    }
    let message = "the task has ended; send a message without `taskId` to start another one";
    Err(A2aError::new(A2aErrorKind::UnsupportedOperation, message))
}
