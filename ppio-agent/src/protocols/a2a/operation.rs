//! The operations of the protocol, which both bindings share.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::Value;

use super::failure::{A2aError, A2aErrorKind};
use super::list;
use super::message::Sent;
use super::push::{self, PushOperation, RunReading};
use super::start;
use super::stream::{Framing, TaskEvents};
use super::task;
use super::wire::{Task, TaskState, Version};
use crate::exchange::Exchange;
use crate::exchange::body::Response;
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::json;
use crate::protocols::events::EventWriter;
use crate::protocols::{ProtocolAgent, call};
use crate::runs::run::Run;

/// The operation that a caller requests. The id of a task is in the path in REST, and in the
/// parameters in JSON-RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocols) enum Operation<'a> {
    Send,
    Stream,
    List,
    Get(&'a str),
    Cancel(&'a str),
    Subscribe(&'a str),
    ExtendedCard,
    Push(PushOperation<'a>),
}

/// The result of an operation.
pub(super) enum OperationResult {
    Events(Response),
    /// A value, and the headers of the agent's answer if there is one.
    Json(Value, Option<call::AnswerParts>),
}

impl OperationResult {
    /// Returns the response; `write` serializes a value for the binding.
    pub(super) fn respond(self, write: impl FnOnce(&Value) -> Bytes) -> Response {
        match self {
            Self::Events(response) => response,
            Self::Json(value, Some(parts)) => parts.json(write(&value)),
            Self::Json(value, None) => json::response(StatusCode::OK, write(&value)),
        }
    }
}

impl Operation<'_> {
    /// Returns the operation of the same path with this method.
    pub(super) fn with_method(self, method: &Method) -> Self {
        match self {
            Self::Push(PushOperation::List(task)) if method == Method::POST => {
                Self::Push(PushOperation::Create(task))
            }
            Self::Push(PushOperation::Get(task, id)) if method == Method::DELETE => {
                Self::Push(PushOperation::Delete(task, id))
            }
            operation => operation,
        }
    }
}

/// Performs an operation.
pub(super) async fn perform(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    parts: Parts,
    operation: Operation<'_>,
    params: Value,
    framing: Framing,
) -> Result<OperationResult, A2aError> {
    let version = framing.version;
    let params_id = params.get("id").map(|id| match id {
        Value::String(id) => id.clone(),
        other => other.to_string(),
    });
    let task_id = |in_path: &str| match in_path {
        "" => params_id.clone().ok_or_else(|| {
            A2aError::new(
                A2aErrorKind::InvalidParams,
                "`id` is missing; send the id of a task",
            )
        }),
        id => Ok(id.to_owned()),
    };
    match operation {
        Operation::Send => send(agent, exchange, parts, params, version).await,
        Operation::Stream => stream(agent, exchange, parts, params, framing).await,
        Operation::List => {
            let list = list::list(agent, exchange, &parts.headers, &params, version).await?;
            Ok(OperationResult::Json(list, None))
        }
        Operation::Get(id) => {
            let run = task::found(agent, &parts.headers, &task_id(id)?)?;
            let mut task = task::of_run(agent.invoker, exchange, &run).await;
            task.shorten_history(history_length(&params)?);
            Ok(OperationResult::Json(task.json(version), None))
        }
        Operation::Cancel(id) => {
            let run = task::found(agent, &parts.headers, &task_id(id)?)?;
            let task = cancel(agent, exchange, &run).await?;
            Ok(OperationResult::Json(task.json(version), None))
        }
        Operation::Subscribe(id) => {
            let run = task::found(agent, &parts.headers, &task_id(id)?)?;
            if run.status().is_ended() {
                let task = task::of_run(agent.invoker, exchange, &run).await;
                if task.status.state == TaskState::InputRequired {
                    // A stream ends with this state, so the first event is also the last one.
                    let mut events = EventWriter::default();
                    framing.write_task(&task, &mut events);
                    return Ok(OperationResult::Events(call::written_events(
                        exchange, events,
                    )));
                }
                let message = "the task has ended and has no stream; get the task";
                return Err(A2aError::new(A2aErrorKind::UnsupportedOperation, message));
            }
            let (ids, history) = task::described(&run);
            let answer = call::reattach(agent.invoker, exchange, &run).await;
            let events = TaskEvents::new(framing, ids, history);
            Ok(OperationResult::Events(call::into_events(
                answer, exchange, events,
            )))
        }
        Operation::ExtendedCard => {
            let message = "this agent has no extended agent card; get the agent card instead";
            Err(A2aError::new(A2aErrorKind::UnsupportedOperation, message))
        }
        Operation::Push(operation) => {
            let done = push::perform(agent, exchange, &parts, operation, params, version).await?;
            Ok(OperationResult::Json(done, None))
        }
    }
}

/// Returns how many messages of the history a caller requests; `None` for all.
fn history_length(params: &Value) -> Result<Option<u64>, A2aError> {
    match params.get("historyLength") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| {
            let message = "`historyLength` must be a number, 0 or more";
            A2aError::new(A2aErrorKind::InvalidParams, message)
        }),
    }
}

/// Cancels a task that is working, or that waits for an input.
async fn cancel(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    run: &Arc<Run>,
) -> Result<Task, A2aError> {
    if run.status().is_ended() {
        let task = task::of_run(agent.invoker, exchange, run).await;
        if task.status.state != TaskState::InputRequired || !run.withdraw() {
            let message = "the task has already ended";
            return Err(A2aError::new(A2aErrorKind::TaskNotCancelable, message));
        }
        let followed = RunReading::new(agent, exchange).of(run);
        agent.protocols.push().withdrawn(&task.ids.task, &followed);
    } else {
        run.cancel_recorded("by a caller").await;
    }
    Ok(task::of_run(agent.invoker, exchange, run).await)
}

async fn send(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    parts: Parts,
    params: Value,
    version: Version,
) -> Result<OperationResult, A2aError> {
    let sent = Sent::of(params, version)?;
    let headers = parts.headers.clone();
    let started = start::send(agent, exchange, parts, &sent, false).await?;
    let (mut task, parts) = if sent.returns_immediately {
        let run = task::found(agent, &headers, &started.ids.task)?;
        (task::of_run(agent.invoker, exchange, &run).await, None)
    } else {
        let whole = match started.answer {
            Ok(answer) => answer.into_whole().await,
            Err(error) => Err(error),
        };
        let failure = |error: Error| Failure::of(&error, exchange.request_id.as_str());
        let (whole, parts) = match whole {
            Ok((whole, parts)) => (Ok(whole), Some(parts)),
            Err(error) => (Err(failure(error)), None),
        };
        // The time is the end of the run, as in the answers to later requests.
        let run = task::found(agent, &headers, &started.ids.task).ok();
        let time = run.and_then(|run| run.ended_at());
        let time = time.unwrap_or_else(std::time::SystemTime::now);
        (
            task::ended(started.ids, started.history, whole, time),
            parts,
        )
    };
    task.shorten_history(sent.history_length.map(|length| length as u64));
    Ok(OperationResult::Json(task.event(version), parts))
}

async fn stream(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    parts: Parts,
    params: Value,
    framing: Framing,
) -> Result<OperationResult, A2aError> {
    let sent = Sent::of(params, framing.version)?;
    let started = start::send(agent, exchange, parts, &sent, true).await?;
    let events = TaskEvents::new(framing, started.ids, started.history);
    Ok(OperationResult::Events(call::into_events(
        started.answer,
        exchange,
        events,
    )))
}
