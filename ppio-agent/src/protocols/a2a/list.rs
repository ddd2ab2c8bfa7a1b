//! Lists of tasks.

use std::fmt;
use std::time::UNIX_EPOCH;

use http::HeaderMap;
use serde_json::{Map, Value};

use super::failure::{A2aError, A2aErrorKind};
use super::task;
use super::wire::{Task, TaskState, Version};
use crate::exchange::Exchange;
use crate::protocols::ProtocolAgent;

/// The number of tasks per page, unless the caller sends a `pageSize`.
const DEFAULT_PAGE_SIZE: usize = 50;
/// The largest `pageSize`.
const MAX_PAGE_SIZE: usize = 100;

/// The position of a task in the list, which does not change when other tasks are added or removed:
/// the time when its status changed, then its id.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PageToken {
    nanoseconds: u128,
    task: String,
}

impl PageToken {
    fn of(task: &Task) -> Self {
        let since = task.status.time.duration_since(UNIX_EPOCH);
        Self {
            nanoseconds: since.unwrap_or_default().as_nanos(),
            task: task.ids.task.clone(),
        }
    }

    fn parse(token: &str) -> Option<Self> {
        let (nanoseconds, task) = token.split_once('.')?;
        Some(Self {
            nanoseconds: nanoseconds.parse().ok()?,
            task: task.to_owned(),
        })
    }
}

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.nanoseconds, self.task)
    }
}

/// Returns a page of the caller's tasks that match the parameters, those with the most recent
/// status change first.
///
/// # Errors
/// If a parameter is not valid, or if the caller may not list its tasks.
pub(super) async fn list(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    headers: &HeaderMap,
    params: &Value,
    version: Version,
) -> Result<Value, A2aError> {
    let invalid = |name: &str, expected: &str| {
        A2aError::new(
            A2aErrorKind::InvalidParams,
            format!("`{name}` must be {expected}"),
        )
    };
    let number = |name: &str| match params.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let text = value.as_str().and_then(|text| text.parse().ok());
            let number = value.as_u64().or(text);
            let number = number.and_then(|number| usize::try_from(number).ok());
            number.map(Some).ok_or_else(|| invalid(name, "a number"))
        }
    };
    let size = match number("pageSize")? {
        None => DEFAULT_PAGE_SIZE,
        Some(size @ 1..=MAX_PAGE_SIZE) => size,
        Some(_) => return Err(invalid("pageSize", "from 1 to 100")),
    };
    let token = params.get("pageToken").filter(|token| **token != "");
    let start = match token {
        None | Some(Value::Null) => None,
        Some(token) => {
            let cursor = token.as_str().and_then(PageToken::parse);
            Some(cursor.ok_or_else(|| invalid("pageToken", "the token of an earlier page"))?)
        }
    };
    let text = |name: &str| match params.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(invalid(name, "a string")),
    };
    let state = match text("status")? {
        None | Some("TASK_STATE_UNSPECIFIED") => None,
        Some(name) => {
            let mut all = TaskState::ALL.into_iter();
            let found = all.find(|state| state.as_str(Version::V1) == name);
            Some(found.ok_or_else(|| invalid("status", "a state such as TASK_STATE_WORKING"))?)
        }
    };
    let context = text("contextId")?;
    let with_artifacts = match params.get("includeArtifacts") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(with_artifacts)) => *with_artifacts,
        Some(_) => return Err(invalid("includeArtifacts", "true or false")),
    };
    let history = number("historyLength")?.unwrap_or(0);
    let after = match text("statusTimestampAfter")? {
        None => None,
        Some(time) => {
            let time = humantime::parse_rfc3339(time);
            Some(time.map_err(|_| {
                invalid(
                    "statusTimestampAfter",
                    "a time such as 2026-01-31T12:00:00Z",
                )
            })?)
        }
    };
    let mut tasks = Vec::new();
    for run in task::all(agent, headers, context)? {
        let mut task = task::of_run(agent.invoker, exchange, &run).await;
        if state.is_some_and(|state| state != task.status.state)
            || after.is_some_and(|after| task.status.time < after)
        {
            continue;
        }
        if !with_artifacts {
            task.artifacts.clear();
        }
        task.shorten_history(Some(history as u64));
        tasks.push(task);
    }
    let total = tasks.len();
    tasks.sort_by_cached_key(|task| std::cmp::Reverse(PageToken::of(task)));
    let behind = |task: &&Task| {
        start
            .as_ref()
            .is_none_or(|start| PageToken::of(task) < *start)
    };
    let mut rest = tasks.iter().filter(behind);
    let page: Vec<_> = rest.by_ref().take(size).collect();
    let token = match page.last() {
        Some(last) if rest.next().is_some() => PageToken::of(last).to_string(),
        _ => String::new(),
    };
    let page: Vec<_> = page.into_iter().map(|task| task.json(version)).collect();
    let list: Map<String, Value> = [
        ("pageSize".to_owned(), page.len().into()),
        ("tasks".to_owned(), page.into()),
        ("nextPageToken".to_owned(), token.into()),
        ("totalSize".to_owned(), total.into()),
    ]
    .into_iter()
    .collect();
    Ok(Value::Object(list))
}
