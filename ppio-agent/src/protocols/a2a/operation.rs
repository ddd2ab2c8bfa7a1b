//! The operations of the protocol, which both bindings have.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

use super::failure::{A2aError, Kind};
use super::list;
use super::message::Sent;
use super::stream::{Framing, TaskEvents};
use super::task;
use super::wire::Version;
use crate::exchange::Exchange;
use crate::exchange::body::Response;
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::json;
use crate::protocols::{ProtocolAgent, call};

/// What a caller requests. In REST the id of a task is in the path, in JSON-RPC a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    Send,
    Stream,
    List,
    Get(&'a str),
    Cancel(&'a str),
    Subscribe(&'a str),
    ExtendedCard,
    PushNotifications,
}

/// What an operation answers with.
pub(super) enum Outcome {
    Events(Response),
    /// A value, and the head of the agent's answer where there is one.
    Json(Value, Option<call::AnswerParts>),
}

impl Outcome {
    /// The response, in which `write` puts a value as its binding does.
    pub(super) fn respond(self, write: impl FnOnce(&Value) -> Bytes) -> Response {
        match self {
            Self::Events(response) => response,
            Self::Json(value, Some(parts)) => parts.json(write(&value)),
            Self::Json(value, None) => json::response(StatusCode::OK, write(&value)),
        }
    }
}

impl<'a> Operation<'a> {
    /// The operation of a path.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix("/a2a/")?;
        Some(match path {
            "message:send" => Self::Send,
            "message:stream" => Self::Stream,
            "tasks" => Self::List,
            "extendedAgentCard" => Self::ExtendedCard,
            path => {
                let rest = path.strip_prefix("tasks/")?;
                if rest.contains("/pushNotificationConfigs") {
                    return Some(Self::PushNotifications);
                }
                if rest.is_empty() || rest.contains('/') {
                    return None;
                }
                match rest.rsplit_once(':') {
                    Some((id, "cancel")) => Self::Cancel(id),
                    Some((id, "subscribe")) => Self::Subscribe(id),
                    _ => Self::Get(rest),
                }
            }
        })
    }

    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::Send | Self::Stream | Self::Cancel(_) => "POST, OPTIONS",
            Self::List | Self::Get(_) | Self::ExtendedCard => "GET, OPTIONS",
            Self::Subscribe(_) => "GET, POST, OPTIONS",
            Self::PushNotifications => "GET, POST, DELETE, OPTIONS",
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
) -> Result<Outcome, A2aError> {
    let version = framing.version;
    let params_id = params.get("id").map(|id| match id {
        Value::String(id) => id.clone(),
        other => other.to_string(),
    });
    let task_id = |in_path: &str| match in_path {
        "" => params_id.clone().ok_or_else(|| {
            A2aError::new(
                Kind::InvalidParams,
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
            Ok(Outcome::Json(list, None))
        }
        Operation::Get(id) => {
            let run = task::found(agent, &parts.headers, &task_id(id)?)?;
            let mut task = task::of_run(agent, exchange, &run).await;
            task.shorten_history(params.get("historyLength").and_then(Value::as_u64));
            Ok(Outcome::Json(task.json(version), None))
        }
        Operation::Cancel(id) => {
            let run = task::found(agent, &parts.headers, &task_id(id)?)?;
            if run.status().is_ended() {
                let message = "the task has ended already";
                return Err(A2aError::new(Kind::TaskNotCancelable, message));
            }
            run.cancel("by a caller");
            run.end_recorded().await;
            let task = task::of_run(agent, exchange, &run).await;
            Ok(Outcome::Json(task.json(version), None))
        }
        Operation::Subscribe(id) => {
            let run = task::found(agent, &parts.headers, &task_id(id)?)?;
            if run.status().is_ended() {
                let message = "the task has ended; get it instead";
                return Err(A2aError::new(Kind::UnsupportedOperation, message));
            }
            let (ids, history) = task::described(&run);
            let answer = call::reattach(agent, exchange, &run).await;
            let events = TaskEvents::new(framing, ids, history);
            Ok(Outcome::Events(call::into_events(answer, exchange, events)))
        }
        Operation::ExtendedCard => {
            let message = "this agent has no extended card";
            Err(A2aError::new(Kind::ExtendedCardNotConfigured, message))
        }
        Operation::PushNotifications => {
            let message = "this agent sends no push notifications; subscribe to the task instead";
            Err(A2aError::new(Kind::PushNotificationNotSupported, message))
        }
    }
}

async fn send(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    parts: Parts,
    params: Value,
    version: Version,
) -> Result<Outcome, A2aError> {
    let sent = Sent::of(params)?;
    let headers = parts.headers.clone();
    let started = task::send(agent, exchange, parts, &sent, false).await?;
    let now = std::time::SystemTime::now;
    let (mut task, parts) = if sent.returns_immediately {
        let run = task::found(agent, &headers, &started.ids.task)?;
        (task::of_run(agent, exchange, &run).await, None)
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
        (
            task::ended(started.ids, started.history, whole, now()),
            parts,
        )
    };
    task.shorten_history(sent.history_length.map(|length| length as u64));
    Ok(Outcome::Json(task.event(version), parts))
}

async fn stream(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    parts: Parts,
    params: Value,
    framing: Framing,
) -> Result<Outcome, A2aError> {
    let sent = Sent::of(params)?;
    let started = task::send(agent, exchange, parts, &sent, true).await?;
    let events = TaskEvents::new(framing, started.ids, started.history);
    Ok(Outcome::Events(call::into_events(
        started.answer,
        exchange,
        events,
    )))
}

/// Refuses a version that is not spoken here. Callers of 0.3 send none.
pub(super) fn check_version(headers: &HeaderMap) -> Result<(), A2aError> {
    let stated = headers.get("a2a-version").map(HeaderValue::as_bytes);
    let Some(stated) = stated.filter(|stated| !stated.is_empty()) else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(stated);
    let mut numbers = text.split('.');
    match (numbers.next(), numbers.next()) {
        (Some("1"), Some("0")) | (Some("0"), Some("3")) => Ok(()),
        _ => {
            let text: String = text.chars().take(32).collect();
            let message = format!("version {text:?} is not supported; send `A2A-Version: 1.0`");
            Err(A2aError::new(Kind::VersionNotSupported, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_an_operation() {
        for (path, expected) in [
            ("/a2a/message:send", Some(Operation::Send)),
            ("/a2a/tasks", Some(Operation::List)),
            ("/a2a/tasks/a-1", Some(Operation::Get("a-1"))),
            ("/a2a/tasks/a-1:cancel", Some(Operation::Cancel("a-1"))),
            ("/a2a/tasks/a:b", Some(Operation::Get("a:b"))),
            (
                "/a2a/tasks/a/pushNotificationConfigs/b",
                Some(Operation::PushNotifications),
            ),
            ("/a2a/tasks/", None),
            ("/a2a/tasks/a/b", None),
            ("/a2a", None),
        ] {
            assert_eq!(Operation::of(path), expected, "{path}");
        }
    }
}
