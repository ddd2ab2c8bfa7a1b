//! Tasks. A task is one run, or several runs if the agent requested an input.

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use ppio_agent_protocol::{ChatEvent, ChatMessage, RunStatus};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::failure::A2aError;
use super::wire::{Artifact, Status, Task, TaskIds, TaskState, WirePart};
use crate::exchange::Exchange;
use crate::exchange::context::session_header;
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::protocol::Protocol;
use crate::exchange::request_id::RequestId;
use crate::invocation::Invoker;
use crate::protocols::whole::WholeAnswer;
use crate::protocols::{ProtocolAgent, call};
use crate::runs::run::Run;

/// The id of the artifact with the text and the values of an answer.
pub(super) const ANSWER: &str = "answer";

/// The data that a run stores about its task. The id of the task is the first field: the task is
/// found by the beginning of the JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TaskData {
    pub(super) task: String,
    pub(super) history: Vec<ChatMessage>,
}

/// Returns a new id for a task, a context or a configuration.
pub(super) fn new_id() -> String {
    RequestId::random().as_str().to_owned()
}

/// Returns the newest run of a task that the caller may see.
pub(super) fn find(agent: &ProtocolAgent<'_>, headers: &HeaderMap, id: &str) -> Option<Arc<Run>> {
    let beginning = format!("{{\"task\":{}", json!(id));
    let caller = agent.runs.caller(headers, session_header(headers));
    agent.runs.find_tagged(&caller, |tag| {
        tag.protocol == Protocol::A2a.as_str() && tag.data.starts_with(&beginning)
    })
}

pub(super) fn found(
    agent: &ProtocolAgent<'_>,
    headers: &HeaderMap,
    id: &str,
) -> Result<Arc<Run>, A2aError> {
    find(agent, headers, id).ok_or_else(|| A2aError::task_not_found(id))
}

/// Returns the newest run of each of the caller's tasks, the newest task first.
///
/// # Errors
/// If the caller may not list its tasks.
pub(super) fn all(
    agent: &ProtocolAgent<'_>,
    headers: &HeaderMap,
    context: Option<&str>,
) -> Result<Vec<Arc<Run>>, A2aError> {
    let caller = agent.runs.caller(headers, session_header(headers));
    let runs = agent.runs.list_tagged(&caller, |tag| {
        tag.protocol == Protocol::A2a.as_str()
            && context.is_none_or(|context| tag.thread.as_deref() == Some(context))
    });
    let runs = runs.map_err(A2aError::of_rejection)?.into_iter();
    let mut seen = std::collections::HashSet::new();
    Ok(runs
        .filter(|run| seen.insert(described(run).0.task))
        .collect())
}

/// Returns the ids and the history of a run's task.
pub(super) fn described(run: &Run) -> (TaskIds, Vec<ChatMessage>) {
    let tag = run.tag();
    let data: Option<TaskData> = tag.and_then(|tag| serde_json::from_str(&tag.data).ok());
    let context = tag.and_then(|tag| tag.thread.clone()).unwrap_or_default();
    let (task, history) = data.map_or((run.id().to_owned(), Vec::new()), |data| {
        (data.task, data.history)
    });
    (TaskIds { task, context }, history)
}

/// Returns the task of a run, in its current state.
pub(super) async fn of_run(invoker: &Invoker, exchange: &Exchange, run: &Arc<Run>) -> Task {
    let (ids, history) = described(run);
    if run.status().is_ended() {
        let time = run.ended_at().unwrap_or_else(SystemTime::now);
        let whole = match (whole_of(invoker, exchange, run).await, run.status()) {
            // The answer of the run was too large to be kept, or to be read whole.
            (Err(_), RunStatus::Success) => Ok(WholeAnswer::default()),
            (whole, _) => whole,
        };
        let mut task = ended(ids, history, whole, time);
        if run.status() == RunStatus::Cancelled {
            task.status.state = TaskState::Canceled;
        }
        if let Some(time) = run.withdrawn_at() {
            task.status = Status {
                state: TaskState::Canceled,
                message: Vec::new(),
                time,
            };
        }
        return task;
    }
    Task {
        ids,
        status: Status {
            state: TaskState::Working,
            message: Vec::new(),
            time: run.started_at(),
        },
        artifacts: Vec::new(),
        history,
    }
}

pub(super) async fn whole_of(
    invoker: &Invoker,
    exchange: &Exchange,
    run: &Arc<Run>,
) -> Result<WholeAnswer, Failure> {
    let failure = |error: Error| Failure::of(&error, run.id());
    let answer = call::reattach(invoker, exchange, run)
        .await
        .map_err(failure)?;
    let (whole, _) = answer.into_whole().await.map_err(failure)?;
    Ok(whole)
}

/// Returns the task of an answer that has ended.
pub(super) fn ended(
    ids: TaskIds,
    history: Vec<ChatMessage>,
    answer: Result<WholeAnswer, Failure>,
    time: SystemTime,
) -> Task {
    let (status, artifacts) = match answer {
        Ok(whole) => (end_status(whole.interrupt.as_ref(), time), artifacts(whole)),
        Err(failure) => (failed_status(&failure, time), Vec::new()),
    };
    Task {
        ids,
        status,
        artifacts,
        history,
    }
}

/// Returns the status of a task whose agent ended without an error.
pub(super) fn end_status(interrupt: Option<&ChatEvent>, time: SystemTime) -> Status {
    let Some(ChatEvent::Interrupt {
        id,
        reason,
        message,
        tool_call_id,
        response_schema,
    }) = interrupt
    else {
        return Status {
            state: TaskState::Completed,
            message: Vec::new(),
            time,
        };
    };
    let details = json!({
        "interruptId": id,
        "reason": reason,
        "toolCallId": tool_call_id,
        "responseSchema": response_schema,
    });
    Status {
        state: TaskState::InputRequired,
        message: vec![
            WirePart::Text(message.clone().unwrap_or_else(|| reason.clone())),
            WirePart::Data(details),
        ],
        time,
    }
}

/// Returns the status of a task whose agent failed or was cancelled.
pub(super) fn failed_status(failure: &Failure, time: SystemTime) -> Status {
    Status {
        state: if failure.is_cancellation {
            TaskState::Canceled
        } else {
            TaskState::Failed
        },
        message: vec![WirePart::Text(failure.message.clone())],
        time,
    }
}

/// Returns the artifacts of an answer: its text and values, and its named data.
fn artifacts(whole: WholeAnswer) -> Vec<Artifact> {
    let mut artifacts = Vec::new();
    let mut parts = Vec::new();
    if !whole.plain_text.is_empty() {
        parts.push(WirePart::Text(whole.plain_text));
    }
    parts.extend(whole.values.into_iter().map(WirePart::Data));
    if !parts.is_empty() {
        artifacts.push(Artifact {
            id: ANSWER.to_owned(),
            parts,
        });
    }
    for event in whole.events {
        if let ChatEvent::Data { name, data } = event {
            artifacts.push(Artifact {
                id: name,
                parts: vec![WirePart::Data(data)],
            });
        }
    }
    artifacts
}
