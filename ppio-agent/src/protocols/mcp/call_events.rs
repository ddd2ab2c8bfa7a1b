//! The event stream of a call: its progress, if the client requests it, and the result.

use ppio_agent_protocol::ChatEvent;
use serde_json::Value;

use super::result::ResultWriter;
use crate::exchange::failure::Failure;
use crate::exchange::json::line;
use crate::protocols::events::{EventWriter, Translator};
use crate::protocols::items::Item;
use crate::protocols::whole::Collector;

/// The events of a call: its progress, if the client requests it, and the result.
pub(super) struct CallEvents {
    progress: Option<CallProgress>,
    /// Collects the answer for the result.
    collector: Collector,
    is_stream: bool,
    writer: ResultWriter,
}

impl CallEvents {
    pub(super) fn new(token: Option<Value>, is_stream: bool, writer: ResultWriter) -> Self {
        Self {
            progress: token.map(|token| CallProgress::new(&token)),
            collector: Collector::default(),
            is_stream,
            writer,
        }
    }
}

impl Translator for CallEvents {
    fn item(&mut self, item: Item<'_>, events: &mut EventWriter) {
        if let Some(progress) = &mut self.progress {
            progress.write(&item, events);
        }
        self.collector.add(item);
    }

    fn end(&mut self, failure: Option<Failure>, events: &mut EventWriter) {
        let collected = std::mem::take(&mut self.collector).finish();
        events.json(&match (failure, collected) {
            (Some(failure), _) => self.writer.failed(&failure),
            (None, Err(rejection)) => self.writer.failed(&Failure::of(&rejection.into(), "")),
            (None, Ok(answer)) => self.writer.succeeded(answer, self.is_stream),
        });
    }
}

/// Writes a notification for each item.
struct CallProgress {
    /// The JSON of a notification up to the number of the item.
    before: String,
    items: u64,
}

impl CallProgress {
    fn new(token: &Value) -> Self {
        let before = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{},"progress":"#,
            line(token)
        );
        Self { before, items: 0 }
    }

    /// Writes a notification whose message is the text of the item, or its JSON.
    fn write(&mut self, item: &Item<'_>, events: &mut EventWriter) {
        self.items += 1;
        let number = self.items.to_string();
        let mut write = |message: &str| {
            events.parts(&[&self.before, &number, r#","message":"#, message, "}}"]);
        };
        match item {
            Item::Text(json) => write(json),
            Item::Data(json) => write(&line(json)),
            Item::Event(ChatEvent::TextDelta { text: delta }) => write(&line(delta)),
            Item::Event(event) => {
                write(&line(&serde_json::to_string(event).unwrap_or_default()));
            }
        }
    }
}
