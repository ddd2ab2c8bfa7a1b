//! Tasks, each of which is a run, or several if the agent had to be answered.

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use http::request::Parts;
use ppio_agent_protocol::{ChatEvent, ChatMessage, RunStatus};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::failure::{A2aError, Kind};
use super::message::Sent;
use super::wire::{Artifact, Status, Task, TaskIds, TaskState, WirePart};
use crate::exchange::Exchange;
use crate::exchange::context::session_header;
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::header_names::IDEMPOTENCY_KEY;
use crate::exchange::policies::OnDisconnect;
use crate::exchange::protocol::Protocol;
use crate::exchange::request_id::RequestId;
use crate::protocols::call::Answer;
use crate::protocols::whole::WholeAnswer;
use crate::protocols::{ProtocolAgent, call};
use crate::runs::options::RunTag;
use crate::runs::run::Run;

/// The longest message that is kept for the history of its task.
const MAX_HISTORY: usize = 64 * 1024;

/// The artifact that the text of an answer is.
pub(super) const ANSWER: &str = "answer";

/// What a run remembers of its task. The id of the task is the first field, by which it is found.
#[derive(Debug, Serialize, Deserialize)]
struct TaskData {
    task: String,
    history: Vec<ChatMessage>,
}

/// A task that was begun or continued.
pub(super) struct Started {
    pub(super) ids: TaskIds,
    pub(super) history: Vec<ChatMessage>,
    /// The answer, unless the agent failed before it began.
    pub(super) answer: Result<Answer, Error>,
}

/// Gives a message to the agent.
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
        let message = format!("the task belongs to context {kept:?}; send that or none");
        return Err(A2aError::new(Kind::InvalidParams, message));
    }
    // A request that is sent again with its idempotency key has to be the same one.
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
    let invalid = |rejection| A2aError::of(&Failure::of(&Error::from(rejection), ""));
    let options = call::run_options(agent, &parts.headers).map_err(invalid)?;
    let options = if sent.returns_immediately && !stream {
        options.keep(OnDisconnect::Continue, tag).without_waiting()
    } else {
        options.continuing(tag)
    };
    let headers = parts.headers.clone();
    let answer = call::invoke(agent, exchange, parts, &request, options).await;
    if let Err(error) = &answer
        && find(agent, &headers, &ids.task).is_none()
    {
        // The agent's function was not called.
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

fn new_id() -> String {
    RequestId::random().as_str().to_owned()
}

struct Continued {
    ids: TaskIds,
    interrupt: Option<String>,
    history: Vec<ChatMessage>,
}

/// What a message continues: a task whose agent waits for an answer.
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
        return Err(A2aError::new(Kind::UnsupportedOperation, message));
    }
    let whole = whole_of(agent, exchange, &run).await;
    if let Ok(Some(ChatEvent::Interrupt { id, .. })) = whole.map(|whole| whole.interrupt) {
        return Ok(Continued {
            ids,
            interrupt: Some(id),
            history,
        });
    }
    let message = "the task has ended; send a message without `taskId` to start another one";
    Err(A2aError::new(Kind::UnsupportedOperation, message))
}

/// The newest run of a task that the caller may see.
fn find(agent: &ProtocolAgent<'_>, headers: &HeaderMap, id: &str) -> Option<Arc<Run>> {
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

/// The newest runs of the caller's tasks, the newest task first.
pub(super) fn all(
    agent: &ProtocolAgent<'_>,
    headers: &HeaderMap,
    context: Option<&str>,
) -> Vec<Arc<Run>> {
    let caller = agent.runs.caller(headers, session_header(headers));
    let runs = agent.runs.find_all_tagged(&caller, |tag| {
        tag.protocol == Protocol::A2a.as_str()
            && context.is_none_or(|context| tag.thread.as_deref() == Some(context))
    });
    let mut seen = std::collections::HashSet::new();
    runs.into_iter()
        .filter(|run| seen.insert(described(run).0.task))
        .collect()
}

/// The ids and the history of the task of a run.
pub(super) fn described(run: &Run) -> (TaskIds, Vec<ChatMessage>) {
    let tag = run.tag();
    let data: Option<TaskData> = tag.and_then(|tag| serde_json::from_str(&tag.data).ok());
    let context = tag.and_then(|tag| tag.thread.clone()).unwrap_or_default();
    let (task, history) = data.map_or((run.id().to_owned(), Vec::new()), |data| {
        (data.task, data.history)
    });
    (TaskIds { task, context }, history)
}

/// The task of a run as it is now.
pub(super) async fn of_run(agent: &ProtocolAgent<'_>, exchange: &Exchange, run: &Arc<Run>) -> Task {
    let (ids, history) = described(run);
    if run.status().is_ended() {
        let time = run.ended_at().unwrap_or_else(SystemTime::now);
        let whole = whole_of(agent, exchange, run).await;
        let mut task = ended(ids, history, whole, time);
        if run.status() == RunStatus::Cancelled {
            task.status.state = TaskState::Canceled;
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

async fn whole_of(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    run: &Arc<Run>,
) -> Result<WholeAnswer, Failure> {
    let failure = |error: Error| Failure::of(&error, run.id());
    let answer = call::reattach(agent, exchange, run)
        .await
        .map_err(failure)?;
    let (whole, _) = answer.into_whole().await.map_err(failure)?;
    Ok(whole)
}

/// The task whose answer has ended.
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

/// The status of a task whose agent ended without an error.
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

/// The status of a task whose agent failed.
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

/// The artifacts of an answer: its text and values, and the data that has a name.
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
