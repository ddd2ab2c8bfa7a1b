//! Writes the objects of the protocol as the JSON of either version.

use std::time::SystemTime;

use ppio_agent_protocol::{ChatMessage, ChatPart};
use serde_json::{Map, Value, json};

/// A version of the protocol; in JSON-RPC the name of the method determines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V0_3,
}

impl Version {
    pub(super) fn number(self) -> &'static str {
        match self {
            Self::V1 => "1.0",
            Self::V0_3 => "0.3",
        }
    }
}

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskState {
    Working,
    Completed,
    Failed,
    Canceled,
    InputRequired,
}

impl TaskState {
    pub(super) const ALL: [Self; 5] = [
        Self::Working,
        Self::Completed,
        Self::Failed,
        Self::Canceled,
        Self::InputRequired,
    ];

    pub(super) fn as_str(self, version: Version) -> &'static str {
        match (self, version) {
            (Self::Working, Version::V1) => "TASK_STATE_WORKING",
            (Self::Completed, Version::V1) => "TASK_STATE_COMPLETED",
            (Self::Failed, Version::V1) => "TASK_STATE_FAILED",
            (Self::Canceled, Version::V1) => "TASK_STATE_CANCELED",
            (Self::InputRequired, Version::V1) => "TASK_STATE_INPUT_REQUIRED",
            (Self::Working, Version::V0_3) => "working",
            (Self::Completed, Version::V0_3) => "completed",
            (Self::Failed, Version::V0_3) => "failed",
            (Self::Canceled, Version::V0_3) => "canceled",
            (Self::InputRequired, Version::V0_3) => "input-required",
        }
    }
}

/// A part of a message or an artifact.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum WirePart {
    Text(String),
    Data(Value),
}

impl WirePart {
    pub(super) fn json(&self, version: Version) -> Value {
        match (self, version) {
            (Self::Text(text), Version::V1) => json!({ "text": text }),
            (Self::Data(data), Version::V1) => json!({ "data": data }),
            (Self::Text(text), Version::V0_3) => json!({"kind": "text", "text": text}),
            // In version 0.3, data is always an object.
            (Self::Data(data @ Value::Object(_)), Version::V0_3) => {
                json!({"kind": "data", "data": data})
            }
            (Self::Data(data), Version::V0_3) => json!({"kind": "data", "data": {"value": data}}),
        }
    }
}

pub(super) fn parts_json(parts: &[WirePart], version: Version) -> Value {
    parts.iter().map(|part| part.json(version)).collect()
}

/// Returns the JSON of a message of the agent or of a caller.
fn message(id: &str, role: &str, parts: &Value, ids: &TaskIds, version: Version) -> Value {
    let mut message = json!({
        "messageId": id,
        "taskId": ids.task,
        "contextId": ids.context,
        "parts": parts,
    });
    match version {
        Version::V1 => message["role"] = format!("ROLE_{}", role.to_ascii_uppercase()).into(),
        Version::V0_3 => {
            message["role"] = role.into();
            message["kind"] = "message".into();
        }
    }
    message
}

/// Returns the JSON of a message of a caller, which may have been sent in the other version.
fn sent_message(sent: &ChatMessage, ids: &TaskIds, version: Version) -> Value {
    let parts = sent.content.iter().map(|part| sent_part(part, version));
    let id = sent.id.as_deref().unwrap_or_default();
    let mut message = message(id, "user", &parts.collect(), ids, version);
    if let Value::Object(message) = &mut message {
        let extra = sent.extra.iter();
        message.extend(extra.map(|(name, value)| (name.clone(), value.clone())));
    }
    message
}

fn sent_part(part: &ChatPart, version: Version) -> Value {
    match part {
        ChatPart::Text { text } => WirePart::Text(text.clone()).json(version),
        ChatPart::Data { data } => WirePart::Data(data.clone()).json(version),
        ChatPart::File {
            media_type,
            name,
            url,
            data,
        } => match version {
            Version::V1 => present([
                ("url", url),
                ("raw", data),
                ("mediaType", media_type),
                ("filename", name),
            ]),
            Version::V0_3 => {
                let file = present([
                    ("uri", url),
                    ("bytes", data),
                    ("mimeType", media_type),
                    ("name", name),
                ]);
                json!({"kind": "file", "file": file})
            }
        },
        other => WirePart::Data(json!(other)).json(version),
    }
}

/// Returns an object with the members that have a value.
fn present<const N: usize>(members: [(&str, &Option<String>); N]) -> Value {
    let members = members.into_iter().filter_map(|(name, value)| {
        let value = value.as_deref()?;
        Some((name.to_owned(), Value::from(value)))
    });
    Value::Object(members.collect())
}

/// The ids of a task, which its messages and events carry.
#[derive(Debug, Clone)]
pub(super) struct TaskIds {
    pub(super) task: String,
    pub(super) context: String,
}

/// The status of a task.
pub(super) struct Status {
    pub(super) state: TaskState,
    /// The agent's message about the state.
    pub(super) message: Vec<WirePart>,
    pub(super) time: SystemTime,
}

impl Status {
    pub(super) fn json(&self, ids: &TaskIds, version: Version) -> Value {
        let time = humantime::format_rfc3339_millis(self.time).to_string();
        let mut status = Map::new();
        status.insert("state".to_owned(), self.state.as_str(version).into());
        status.insert("timestamp".to_owned(), time.into());
        if !self.message.is_empty() {
            let id = format!("{}-{}", ids.task, self.state.as_str(Version::V0_3));
            let parts = parts_json(&self.message, version);
            let message = message(&id, "agent", &parts, ids, version);
            status.insert("message".to_owned(), message);
        }
        Value::Object(status)
    }

    /// Returns the event that reports the status.
    pub(super) fn event(&self, ids: &TaskIds, version: Version) -> Value {
        let status = self.json(ids, version);
        match version {
            Version::V1 => json!({"statusUpdate": {
                "taskId": ids.task,
                "contextId": ids.context,
                "status": status,
            }}),
            Version::V0_3 => json!({
                "kind": "status-update",
                "taskId": ids.task,
                "contextId": ids.context,
                "status": status,
                "final": self.state != TaskState::Working,
            }),
        }
    }
}

/// An artifact of an answer.
pub(super) struct Artifact {
    pub(super) id: String,
    pub(super) parts: Vec<WirePart>,
}

impl Artifact {
    pub(super) fn json(&self, version: Version) -> Value {
        json!({"artifactId": self.id, "parts": parts_json(&self.parts, version)})
    }

    /// Returns the event that carries these parts of the artifact.
    pub(super) fn event(&self, ids: &TaskIds, version: Version, append: bool) -> Value {
        let artifact = self.json(version);
        match version {
            Version::V1 => json!({"artifactUpdate": {
                "taskId": ids.task,
                "contextId": ids.context,
                "artifact": artifact,
                "append": append,
            }}),
            Version::V0_3 => json!({
                "kind": "artifact-update",
                "taskId": ids.task,
                "contextId": ids.context,
                "artifact": artifact,
                "append": append,
                "lastChunk": false,
            }),
        }
    }
}

/// A complete task.
pub(super) struct Task {
    pub(super) ids: TaskIds,
    pub(super) status: Status,
    pub(super) artifacts: Vec<Artifact>,
    /// The messages of the caller that were kept.
    pub(super) history: Vec<ChatMessage>,
}

impl Task {
    pub(super) fn json(&self, version: Version) -> Value {
        let mut task = Map::new();
        if version == Version::V0_3 {
            task.insert("kind".to_owned(), "task".into());
        }
        task.insert("id".to_owned(), self.ids.task.clone().into());
        task.insert("contextId".to_owned(), self.ids.context.clone().into());
        let status = self.status.json(&self.ids, version);
        task.insert("status".to_owned(), status);
        let artifacts = self.artifacts.iter();
        let artifacts: Vec<Value> = artifacts.map(|artifact| artifact.json(version)).collect();
        if !artifacts.is_empty() {
            task.insert("artifacts".to_owned(), artifacts.into());
        }
        if !self.history.is_empty() {
            let messages = self.history.iter();
            let messages = messages.map(|sent| sent_message(sent, &self.ids, version));
            task.insert("history".to_owned(), messages.collect());
        }
        Value::Object(task)
    }

    /// Returns the JSON of the task for a response that can also be another object, such as a
    /// message.
    pub(super) fn event(&self, version: Version) -> Value {
        let task = self.json(version);
        match version {
            Version::V1 => json!({ "task": task }),
            Version::V0_3 => task,
        }
    }

    /// Keeps only the newest `length` messages of the history; `None` keeps all.
    pub(super) fn shorten_history(&mut self, length: Option<u64>) {
        if let Some(length) = length.and_then(|length| usize::try_from(length).ok()) {
            let surplus = self.history.len().saturating_sub(length);
            self.history.drain(..surplus);
        }
    }
}
