//! The four operations on configurations.

use std::borrow::Cow;

use http::request::Parts;
use serde_json::{Map, Value, json};

use super::config::{PushConfig, invalid};
use super::{PushNotifications, RunReading};
use crate::exchange::Exchange;
use crate::protocols::ProtocolAgent;
use crate::protocols::a2a::failure::{A2aError, A2aErrorKind};
use crate::protocols::a2a::task;
use crate::protocols::a2a::wire::Version;

/// An operation on the configurations of a task. The ids are in the path in REST, and in the
/// parameters in JSON-RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocols) enum PushOperation<'a> {
    Create(&'a str),
    List(&'a str),
    /// The ids of the task and of the configuration.
    Get(&'a str, &'a str),
    Delete(&'a str, &'a str),
}

/// Performs an operation.
pub(in crate::protocols::a2a) async fn perform(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    parts: &Parts,
    operation: PushOperation<'_>,
    mut params: Value,
    version: Version,
) -> Result<Value, A2aError> {
    let push = agent.protocols.push();
    let is_create = matches!(operation, PushOperation::Create(_));
    // In version 0.3, `id` is the id of the task in all operations except `Create`.
    let (task_name, id_name) = match version {
        Version::V0_3 if !is_create => ("id", "pushNotificationConfigId"),
        _ => ("taskId", "id"),
    };
    let (PushOperation::Create(task)
    | PushOperation::List(task)
    | PushOperation::Get(task, _)
    | PushOperation::Delete(task, _)) = operation;
    let task = text(task, &params, task_name)
        .ok_or_else(|| invalid(format!("`{task_name}` is missing; send the id of a task")))?
        .into_owned();
    let run = task::found(agent, &parts.headers, &task)?;
    match operation {
        PushOperation::Create(_) => {
            let wire = match version {
                Version::V1 => params,
                Version::V0_3 => params["pushNotificationConfig"].take(),
            };
            let config = PushConfig::of(wire, version, push.allows_private()).await?;
            let created = config.json(&task, version);
            let followed = RunReading::new(agent, exchange).of(&run);
            push.configure(&task, &followed, config)?;
            Ok(created)
        }
        PushOperation::List(_) => Ok(list(push, &task, version)),
        PushOperation::Get(_, id) => {
            let configs = push.configs.of(&task);
            let found = match (text(id, &params, id_name), version) {
                (Some(id), _) => configs.iter().find(|config| config.id == id),
                // The id is optional in version 0.3.
                (None, Version::V0_3) => configs.first(),
                (None, Version::V1) => return Err(no_id(id_name)),
            };
            let found = found.ok_or_else(|| {
                let text = "the task has no such push notification configuration";
                A2aError::new(A2aErrorKind::TaskNotFound, text)
            })?;
            Ok(found.json(&task, version))
        }
        PushOperation::Delete(_, id) => {
            let id = text(id, &params, id_name).ok_or_else(|| no_id(id_name))?;
            push.configs.remove(&task, &id);
            Ok(match version {
                Version::V1 => Value::Object(Map::new()),
                Version::V0_3 => Value::Null,
            })
        }
    }
}

fn list(push: &PushNotifications, task: &str, version: Version) -> Value {
    let configs = push.configs.of(task).into_iter();
    let configs: Value = configs.map(|config| config.json(task, version)).collect();
    match version {
        Version::V1 => json!({"configs": configs, "nextPageToken": ""}),
        Version::V0_3 => configs,
    }
}

/// Returns an id from the path, or from the parameters if the path has none.
fn text<'t>(in_path: &'t str, params: &'t Value, name: &str) -> Option<Cow<'t, str>> {
    if in_path.is_empty() {
        let text = params.get(name).and_then(Value::as_str);
        return text.filter(|text| !text.is_empty()).map(Cow::Borrowed);
    }
    Some(percent_encoding::percent_decode_str(in_path).decode_utf8_lossy())
}

fn no_id(name: &str) -> A2aError {
    invalid(format!(
        "`{name}` is missing; send the id of a configuration"
    ))
}
