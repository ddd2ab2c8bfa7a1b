//! The items of the output while they are written.

use serde_json::json;

use super::numbers::SequenceNumbers;
use crate::exchange::json::line;
use crate::protocols::events::EventWriter;

/// The kind of a text item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextKind {
    /// The text of the answer.
    Text,
    /// The model's reasoning.
    Reasoning,
}

impl TextKind {
    /// Returns the names of the events of the item's part: its beginning, more text, the whole text
    /// and its end.
    fn events(self) -> [&'static str; 4] {
        match self {
            Self::Text => [
                "response.content_part.added",
                "response.output_text.delta",
                "response.output_text.done",
                "response.content_part.done",
            ],
            Self::Reasoning => [
                "response.reasoning_summary_part.added",
                "response.reasoning_summary_text.delta",
                "response.reasoning_summary_text.done",
                "response.reasoning_summary_part.done",
            ],
        }
    }

    /// Returns the JSON of the item's part.
    fn part(self, text: &str) -> String {
        match self {
            Self::Text => {
                format!(
                    r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":"{text}"}}"#
                )
            }
            Self::Reasoning => format!(r#"{{"type":"summary_text","text":"{text}"}}"#),
        }
    }

    /// Returns the JSON of the item.
    fn item(self, id: &str, status: &str, parts: &str) -> String {
        let (members, list) = match self {
            Self::Text => (r#""type":"message","role":"assistant""#, "content"),
            Self::Reasoning => (r#""type":"reasoning""#, "summary"),
        };
        format!(r#"{{"id":{id},{members},"status":"{status}","{list}":[{parts}]}}"#)
    }
}

/// A message or a reasoning item.
pub(super) struct TextItem {
    kind: TextKind,
    index: usize,
    /// The id, as JSON.
    id: String,
    /// The members of an event that identify the part, and the empty `logprobs` of text.
    place: String,
    /// The members of a delta event before the text.
    before_delta: String,
    /// The text, as the JSON of a string without its quotes.
    text: String,
}

impl TextItem {
    /// Begins an item of the response of a run.
    pub(super) fn begin(
        kind: TextKind,
        run: &str,
        index: usize,
        numbers: &mut SequenceNumbers,
        events: &mut EventWriter,
    ) -> Self {
        let (prefix, part, deltas) = match kind {
            TextKind::Text => ("msg", "content_index", r#""logprobs":[],"#),
            TextKind::Reasoning => ("rs", "summary_index", ""),
        };
        let id = line(&format!("{prefix}_{run}_{index}"));
        let place = format!(r#""item_id":{id},"output_index":{index},"{part}":0,{deltas}"#);
        let [added, ..] = kind.events();
        item_event(
            "added",
            index,
            &kind.item(&id, "in_progress", ""),
            numbers,
            events,
        );
        let part = format!(r#""part":{}"#, kind.part(""));
        numbers.event(events, added, [&place, &part]);
        Self {
            before_delta: format!(r#"{place}"delta":"#),
            kind,
            index,
            id,
            place,
            text: String::new(),
        }
    }

    pub(super) fn kind(&self) -> TextKind {
        self.kind
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Adds text; `json` is the JSON of a string.
    pub(super) fn add(
        &mut self,
        json: &str,
        numbers: &mut SequenceNumbers,
        events: &mut EventWriter,
    ) {
        let inner = json
            .strip_prefix('"')
            .and_then(|json| json.strip_suffix('"'));
        self.text.push_str(inner.unwrap_or_default());
        let [_, delta, ..] = self.kind.events();
        numbers.event(events, delta, [&self.before_delta, json]);
    }

    /// Ends the item. Returns its JSON.
    pub(super) fn end(
        self,
        status: &str,
        numbers: &mut SequenceNumbers,
        events: &mut EventWriter,
    ) -> String {
        let [_, _, text_done, part_done] = self.kind.events();
        let text = format!(r#""text":"{}""#, self.text);
        numbers.event(events, text_done, [&self.place, &text]);
        let part = self.kind.part(&self.text);
        numbers.event(
            events,
            part_done,
            [&self.place, &format!(r#""part":{part}"#)],
        );
        let item = self.kind.item(&self.id, status, &part);
        item_event("done", self.index, &item, numbers, events);
        item
    }
}

/// A call of one of the caller's tools.
pub(super) struct CallItem {
    call_id: String,
    name: String,
    index: usize,
    id: String,
    arguments: String,
}

impl CallItem {
    /// Begins an item of the response of a run.
    pub(super) fn begin(
        call_id: String,
        name: String,
        run: &str,
        index: usize,
        numbers: &mut SequenceNumbers,
        events: &mut EventWriter,
    ) -> Self {
        let call = Self {
            call_id,
            name,
            index,
            id: format!("fc_{run}_{index}"),
            arguments: String::new(),
        };
        item_event("added", index, &call.item("in_progress"), numbers, events);
        call
    }

    pub(super) fn is(&self, call_id: &str) -> bool {
        self.call_id == call_id
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Appends to the arguments.
    pub(super) fn add(
        &mut self,
        delta: &str,
        numbers: &mut SequenceNumbers,
        events: &mut EventWriter,
    ) {
        self.arguments.push_str(delta);
        let delta = format!(r#","delta":{}"#, line(delta));
        let name = "response.function_call_arguments.delta";
        numbers.event(events, name, [&self.place(), &delta]);
    }

    /// Ends the item. Returns its JSON.
    pub(super) fn end(
        &self,
        status: &str,
        numbers: &mut SequenceNumbers,
        events: &mut EventWriter,
    ) -> String {
        let arguments = line(&self.arguments);
        let done = format!(r#","name":{},"arguments":{arguments}"#, line(&self.name));
        let name = "response.function_call_arguments.done";
        numbers.event(events, name, [&self.place(), &done]);
        let item = self.item(status);
        item_event("done", self.index, &item, numbers, events);
        item
    }

    fn place(&self) -> String {
        format!(
            r#""item_id":{},"output_index":{}"#,
            line(&self.id),
            self.index
        )
    }

    fn item(&self, status: &str) -> String {
        line(&json!({
            "id": self.id,
            "type": "function_call",
            "status": status,
            "call_id": self.call_id,
            "name": self.name,
            "arguments": self.arguments,
        }))
    }
}

/// Writes the event for the beginning or the end of an item.
fn item_event(
    what: &str,
    index: usize,
    item: &str,
    numbers: &mut SequenceNumbers,
    events: &mut EventWriter,
) {
    let name = format!("response.output_item.{what}");
    let place = format!(r#""output_index":{index},"item":"#);
    numbers.event(events, &name, [&place, item]);
}
