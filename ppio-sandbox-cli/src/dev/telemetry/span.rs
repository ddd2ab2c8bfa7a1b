//! A span that was received.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::shared_text::SharedText;

/// The maximum number of bytes that are kept of an id.
pub(super) const MAX_ID: usize = 256;
/// The maximum number of bytes that are kept of a name.
pub(super) const MAX_NAME: usize = 1024;
/// The maximum number of bytes that are kept of any other text.
pub(super) const MAX_TEXT: usize = 256 * 1024;

/// The estimated size of a span without its strings, in bytes.
const SPAN_SIZE: usize = 400;
/// The estimated size of an entry of a map with its JSON value, in bytes.
const ENTRY_SIZE: usize = 96;

pub(super) type Attributes = Map<String, Value>;

/// Nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nanos(pub(super) u64);

/// One ended span.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    /// 32 hexadecimal digits.
    pub(super) trace_id: String,
    /// 16 hexadecimal digits.
    pub(super) id: String,
    pub(super) parent_id: Option<String>,
    pub(super) name: String,
    pub(super) kind: &'static str,
    /// The name of the service that exported the span.
    pub(super) service: SharedText,
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    pub(super) is_error: bool,
    pub(super) status_message: String,
    pub(super) attributes: Attributes,
    pub(super) events: Vec<SpanEvent>,
}

/// An event at one moment of a span.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SpanEvent {
    pub(super) name: String,
    pub(super) time: Nanos,
    pub(super) attributes: Attributes,
}

/// The kind of work that a span covers, by OpenTelemetry's conventions for generative AI or by the
/// span names of the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SpanCategory {
    /// An invocation of an agent.
    Agent,
    Tool,
    Model,
    /// A step of a `ChatEvent`.
    Step,
    /// A background task.
    Task,
    Other,
}

impl Span {
    pub(super) fn category(&self) -> SpanCategory {
        match self.text("gen_ai.operation.name") {
            Some("invoke_agent" | "create_agent" | "invoke_workflow") => SpanCategory::Agent,
            Some("execute_tool") => SpanCategory::Tool,
            Some("chat" | "embeddings" | "generate_content" | "text_completion") => {
                SpanCategory::Model
            }
            _ if self.name.starts_with("step ") => SpanCategory::Step,
            _ if self.name == "task" => SpanCategory::Task,
            _ => SpanCategory::Other,
        }
    }

    /// Returns the id of the span's run; `None` if the span has no attribute with the id.
    pub(super) fn run_id(&self) -> Option<&str> {
        self.text("ppio.request.id")
    }

    pub(super) fn session_id(&self) -> Option<&str> {
        self.text("session.id")
            .or_else(|| self.text("gen_ai.conversation.id"))
    }

    pub(super) fn duration(&self) -> Duration {
        self.end.since(self.start)
    }

    /// Returns the number of tokens of a kind, `input` or `output`.
    pub(super) fn tokens(&self, kind: &str) -> Option<u64> {
        let name = format!("gen_ai.usage.{kind}_tokens");
        self.attributes.get(&name)?.as_u64()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.as_str()
    }

    /// Returns the approximate memory of the span, in bytes.
    pub(super) fn size(&self) -> usize {
        let events = self.events.iter();
        let events = events.map(|event| ENTRY_SIZE + event.name.len() + size(&event.attributes));
        SPAN_SIZE
            + self.name.len()
            + self.service.len()
            + self.status_message.len()
            + size(&self.attributes)
            + events.sum::<usize>()
    }
}

/// Returns the approximate memory of attributes, in bytes.
pub(super) fn size(attributes: &Attributes) -> usize {
    let entries = attributes.iter();
    entries
        .map(|(name, value)| name.len() + value_size(value))
        .sum()
}

fn value_size(value: &Value) -> usize {
    ENTRY_SIZE
        + match value {
            Value::String(text) => text.len(),
            Value::Array(values) => values.iter().map(value_size).sum(),
            Value::Object(members) => size(members),
            _ => 0,
        }
}

impl Nanos {
    pub(super) fn now() -> Self {
        Self::of(SystemTime::now())
    }

    pub(super) fn of(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        let nanos = since.unwrap_or_default().as_nanos();
        Self(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    fn to_rfc3339(self) -> String {
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(self.0);
        humantime::format_rfc3339_nanos(time).to_string()
    }
}

impl Serialize for Nanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_rfc3339())
    }
}

/// Converts a duration to milliseconds for JSON, with a precision of a microsecond.
pub(super) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Spans by their id.
pub(super) type SpansById = BTreeMap<String, Arc<Span>>;
