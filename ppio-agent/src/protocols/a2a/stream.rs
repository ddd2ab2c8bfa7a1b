//! The events of a task.

use std::collections::HashSet;
use std::time::SystemTime;

use ppio_agent_protocol::{ChatEvent, ChatMessage};
use serde_json::Value;

use super::task::{ANSWER, end_status, failed_status};
use super::wire::{Artifact, Status, Task, TaskIds, TaskState, Version, WirePart};
use crate::exchange::failure::Failure;
use crate::exchange::json::line;
use crate::protocols::events::{EventWriter, Translator};
use crate::protocols::items::Item;

/// How an event is sent: by itself in REST, as the result of a response in JSON-RPC.
#[derive(Debug, Clone)]
pub(super) struct Framing {
    pub(super) version: Version,
    before: String,
    after: &'static str,
}

impl Framing {
    pub(super) fn rest() -> Self {
        Self {
            version: Version::V1,
            before: String::new(),
            after: "",
        }
    }

    pub(super) fn rpc(version: Version, id: &Value) -> Self {
        Self {
            version,
            before: format!(r#"{{"jsonrpc":"2.0","id":{},"result":"#, line(id)),
            after: "}",
        }
    }

    fn write(&self, event: &Value, events: &mut EventWriter) {
        events.parts(&[&self.before, &line(event), self.after]);
    }

    /// Writes the event that contains a whole task.
    pub(super) fn write_task(&self, task: &Task, events: &mut EventWriter) {
        self.write(&task.event(self.version), events);
    }

    pub(super) fn write_status(&self, status: &Status, ids: &TaskIds, events: &mut EventWriter) {
        self.write(&status.event(ids, self.version), events);
    }
}

/// Writes the events of a task.
pub(super) struct TaskEvents {
    framing: Framing,
    ids: TaskIds,
    /// The task, which is the first event; `None` after this event has been written.
    task: Option<Task>,
    /// An event with a text part of the answer, as the JSON before its text and the JSON after it.
    text_event: [String; 2],
    /// The artifacts that have begun, to which later parts are appended.
    begun: HashSet<String>,
    interrupt: Option<ChatEvent>,
}

impl TaskEvents {
    pub(super) fn new(framing: Framing, ids: TaskIds, history: Vec<ChatMessage>) -> Self {
        // A text that occurs nowhere else is the placeholder for the text of an item.
        let artifact = Artifact {
            id: ANSWER.to_owned(),
            parts: vec![WirePart::Text("\u{0}".to_owned())],
        };
        let event = line(&artifact.event(&ids, framing.version, true));
        let escaped = line("\u{0}");
        let (before, after) = event.split_once(&escaped).unwrap_or((&event, ""));
        let text_event = [
            format!("{}{before}", framing.before),
            format!("{after}{}", framing.after),
        ];
        let task = Task {
            ids: ids.clone(),
            status: Status {
                state: TaskState::Working,
                message: Vec::new(),
                time: SystemTime::now(),
            },
            artifacts: Vec::new(),
            history,
        };
        Self {
            framing,
            ids,
            task: Some(task),
            text_event,
            begun: HashSet::new(),
            interrupt: None,
        }
    }

    fn part(&mut self, id: &str, part: WirePart, events: &mut EventWriter) {
        let append = !self.begun.insert(id.to_owned());
        let artifact = Artifact {
            id: id.to_owned(),
            parts: vec![part],
        };
        let event = artifact.event(&self.ids, self.framing.version, append);
        self.framing.write(&event, events);
    }

    fn text(&mut self, json: &str, events: &mut EventWriter) {
        if self.begun.contains(ANSWER) {
            let [before, after] = &self.text_event;
            return events.parts(&[before, json, after]);
        }
        let text = crate::protocols::items::text_of(json);
        self.part(ANSWER, WirePart::Text(text), events);
    }
}

impl Translator for TaskEvents {
    fn begin(&mut self, events: &mut EventWriter) {
        if let Some(task) = self.task.take() {
            self.framing.write_task(&task, events);
        }
    }

    fn item(&mut self, item: Item<'_>, events: &mut EventWriter) {
        match item {
            Item::Text(json) => self.text(json, events),
            Item::Data(json) => {
                let data = serde_json::from_str(json).unwrap_or_default();
                self.part(ANSWER, WirePart::Data(data), events);
            }
            Item::Event(ChatEvent::TextDelta { text }) => {
                self.text(&line(&text), events);
            }
            Item::Event(ChatEvent::Data { name, data }) => {
                self.part(&name, WirePart::Data(data), events);
            }
            Item::Event(event @ ChatEvent::Interrupt { .. }) => self.interrupt = Some(event),
            // A task has no reasoning, tools or steps.
            Item::Event(_) => {}
        }
    }

    fn end(&mut self, failure: Option<Failure>, events: &mut EventWriter) {
        let now = SystemTime::now();
        let status = match failure {
            Some(failure) => failed_status(&failure, now),
            None => end_status(self.interrupt.as_ref(), now),
        };
        self.framing.write_status(&status, &self.ids, events);
    }
}
