//! The operations, and REST below `/a2a`.

use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};

use super::failure::{A2aError, Kind};
use super::list::{self, shorten_history};
use super::message::Sent;
use super::rpc::check_version;
use super::stream::{Framing, TaskEvents};
use super::task;
use super::wire::{Task, Version};
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::json::{self, to_bytes};
use crate::protocols::{ProtocolAgent, call};

/// What a caller can ask for. In REST the id of a task is in the path, in JSON-RPC a parameter.
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
    Task(Task, Option<call::AnswerParts>),
    Value(Value),
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

    /// Whether the answer says that it is a task, since it could be a message.
    pub(super) fn is_send(self) -> bool {
        self == Self::Send
    }
}

/// Answers a request in REST.
pub(super) async fn answer(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: Request,
    operation: Operation<'_>,
) -> Result<Response, Error> {
    check_version(request.headers()).map_err(A2aError::into_rest)?;
    let (parts, params) = match operation {
        Operation::Send | Operation::Stream => {
            let (parts, body) = call::read(request).await.map_err(|error| in_rest(&error))?;
            let params: Value = call::parse(&body).map_err(|error| in_rest(&error))?;
            (parts, params)
        }
        _ => {
            let (parts, _) = request.into_parts();
            let params = query(parts.uri.query().unwrap_or_default());
            (parts, params)
        }
    };
    let outcome = perform(agent, exchange, parts, operation, params, Framing::rest()).await;
    Ok(match outcome.map_err(A2aError::into_rest)? {
        Outcome::Events(response) => response,
        Outcome::Task(task, parts) => {
            let task = task.json(Version::V1);
            let body = to_bytes(&if operation.is_send() {
                json!({ "task": task })
            } else {
                task
            });
            match parts {
                Some(parts) => parts.json(body),
                None => json::response(StatusCode::OK, body),
            }
        }
        Outcome::Value(value) => json::response(StatusCode::OK, to_bytes(&value)),
    })
}

/// The error of a body that cannot be read, with the status that it has.
fn in_rest(error: &Error) -> Error {
    A2aError::of(&Failure::of(error, "")).into_rest()
}

/// The parameters of a query; a number is one.
fn query(query: &str) -> Value {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let decoded = pairs.map(|(name, value)| {
        let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
        let json = match value.parse::<u64>() {
            Ok(number) => number.into(),
            Err(_) => match &*value {
                "true" => true.into(),
                "false" => false.into(),
                text => text.into(),
            },
        };
        (name.to_owned(), json)
    });
    Value::Object(decoded.collect())
}

/// Does what a caller asks for.
pub(super) async fn perform(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    parts: Parts,
    operation: Operation<'_>,
    params: Value,
    framing: Framing,
) -> Result<Outcome, A2aError> {
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
        Operation::Send => send(agent, exchange, parts, params).await,
        Operation::Stream => stream(agent, exchange, parts, params, framing).await,
        Operation::List => {
            list::list(agent, exchange, &parts.headers, &params, framing.version).await
        }
        Operation::Get(id) => {
            let run = task::found(agent, &parts.headers, &task_id(id)?)?;
            let mut task = task::of_run(agent, exchange, &run).await;
            shorten_history(
                &mut task,
                params.get("historyLength").and_then(Value::as_u64),
            );
            Ok(Outcome::Task(task, None))
        }
        Operation::Cancel(id) => {
            let run = task::found(agent, &parts.headers, &task_id(id)?)?;
            if run.status().is_ended() {
                let message = "the task has ended already";
                return Err(A2aError::new(Kind::TaskNotCancelable, message));
            }
            run.cancel("by a caller");
            run.end_recorded().await;
            Ok(Outcome::Task(
                task::of_run(agent, exchange, &run).await,
                None,
            ))
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
    shorten_history(&mut task, sent.history_length.map(|length| length as u64));
    Ok(Outcome::Task(task, parts))
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
