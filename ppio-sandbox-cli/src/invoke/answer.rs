//! Prints the answer of an agent as it arrives.

use std::time::{Duration, Instant};

use ppio_agent_client::{InvocationOutput, InvocationStream};
use serde::Serialize;
use serde_json::{Value, json};

use super::protocol::{AgentFailure, AnswerPart, AnswerReader};
use crate::error::CliError;
use crate::platform::PrintError;
use crate::terminal::styled::escaped_json;
use crate::terminal::{OutputFormat, Terminal};

/// The summary of an invocation. The names are a contract with the programs that read JSON output.
#[derive(Debug, Serialize)]
pub(crate) struct InvocationSummary {
    /// The number of items; `None` if the answer is not a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) items: Option<u64>,
    pub(crate) session_id: String,
    /// The id of the request in the agent's log; [`print()`] sets this field.
    pub(crate) request_id: String,
    /// The time from the request to the end of the answer, in seconds.
    pub(crate) duration: f64,
    pub(crate) kept: bool,
    #[serde(skip)]
    pub(crate) first_item: Option<Duration>,
}

/// JSON output for an answer that is not a stream.
#[derive(Serialize)]
struct ValueOutput<'a> {
    result: &'a Value,
    #[serde(flatten)]
    summary: &'a InvocationSummary,
}

/// Prints the answer; the items of a stream as they arrive. `reader` reads the answer of a protocol
/// other than that of `/invocations`.
pub(crate) async fn print(
    answer: InvocationOutput,
    sent: Instant,
    mut summary: InvocationSummary,
    reader: Option<Box<dyn AnswerReader>>,
    terminal: &Terminal,
) -> Result<InvocationSummary, PrintError> {
    let request_id = match &answer {
        InvocationOutput::Value(response) => response.request_id().unwrap_or_default(),
        InvocationOutput::Stream(stream) => stream.request_id(),
    };
    request_id.clone_into(&mut summary.request_id);
    let mut items = ItemPrinter::new(reader, &summary, terminal);
    match answer {
        InvocationOutput::Value(response) => {
            summary.duration = sent.elapsed().as_secs_f64();
            let result = response.result.unwrap_or(Value::Null);
            match terminal.format() {
                OutputFormat::Json => terminal.write_json(&ValueOutput {
                    result: &result,
                    summary: &summary,
                })?,
                OutputFormat::Text if items.reader.is_some() => {}
                OutputFormat::Text => terminal.write_text(&format!("{}\n", to_text(&result)))?,
            }
            let printed = items.read(&result);
            let printed = printed
                .and_then(|()| items.check_complete("the answer is not one of the protocol"));
            items.end_line()?;
            printed?;
        }
        InvocationOutput::Stream(stream) => {
            let printed = items.print_stream(stream, sent).await;
            // What follows, such as an error, starts on a new line.
            let ended = items.end_line();
            summary.items = Some(items.count);
            summary.first_item = items.first;
            summary.duration = sent.elapsed().as_secs_f64();
            printed?;
            ended?;
            if terminal.format() == OutputFormat::Json {
                terminal.write_json(&json!({ "end": summary }))?;
            }
        }
    }
    Ok(summary)
}

/// Prints and counts the items of a stream.
struct ItemPrinter<'a> {
    /// Reads the items of a protocol other than that of `/invocations`.
    reader: Option<Box<dyn AnswerReader>>,
    /// The id of the session, for the errors that the items report.
    session_id: String,
    request_id: String,
    terminal: &'a Terminal,
    count: u64,
    first: Option<Duration>,
    /// Whether the last text did not end with a newline.
    in_line: bool,
}

impl<'a> ItemPrinter<'a> {
    fn new(
        reader: Option<Box<dyn AnswerReader>>,
        summary: &InvocationSummary,
        terminal: &'a Terminal,
    ) -> Self {
        Self {
            reader,
            session_id: summary.session_id.clone(),
            request_id: summary.request_id.clone(),
            terminal,
            count: 0,
            first: None,
            in_line: false,
        }
    }

    async fn print_stream(
        &mut self,
        mut stream: InvocationStream,
        sent: Instant,
    ) -> Result<(), PrintError> {
        while let Some(item) = stream.next().await {
            let item = item.map_err(PrintError::Client)?;
            self.first.get_or_insert_with(|| sent.elapsed());
            self.count += 1;
            self.print_item(stream.last_event_id(), &item)?;
            self.read(&item)?;
        }
        self.check_complete("the stream ended before the answer was complete")
    }

    /// Reads an item, or a whole answer, of a protocol other than that of `/invocations`. With text
    /// output, prints its parts.
    fn read(&mut self, item: &Value) -> Result<(), PrintError> {
        let Some(reader) = &mut self.reader else {
            return Ok(());
        };
        let mut parts = Vec::new();
        let outcome = reader.read(item, &mut parts);
        if self.terminal.format() == OutputFormat::Text {
            for part in parts {
                self.print_part(part)?;
            }
        }
        outcome.map_err(|failure| self.failed(failure))
    }

    fn check_complete(&self, otherwise: &str) -> Result<(), PrintError> {
        match &self.reader {
            Some(reader) if !reader.is_complete() => Err(self.failed(AgentFailure::new(otherwise))),
            _ => Ok(()),
        }
    }

    fn failed(&self, failure: AgentFailure) -> PrintError {
        PrintError::Client(failure.into_error(&self.session_id, &self.request_id))
    }

    fn print_part(&mut self, part: AnswerPart) -> Result<(), CliError> {
        match part {
            AnswerPart::Text(text) => self.print_text(&text),
            AnswerPart::EndOfText => self.end_line(),
            AnswerPart::Value(value) => {
                self.end_line()?;
                self.terminal.write_json(&value)
            }
            AnswerPart::Note(text) => {
                if self.terminal.is_verbose() {
                    self.end_line()?;
                }
                self.terminal.note(&text);
                Ok(())
            }
        }
    }

    fn print_text(&mut self, text: &str) -> Result<(), CliError> {
        if !text.is_empty() {
            self.in_line = !text.ends_with('\n');
        }
        self.terminal.write_text(text)
    }

    /// Prints an item. With JSON output, each item has its own line. With text output, a string
    /// continues the text before it, any other item has its own line, and the items of a protocol
    /// are left to [`read`](Self::read).
    fn print_item(&mut self, id: Option<u64>, item: &Value) -> Result<(), CliError> {
        match (self.terminal.format(), item) {
            (OutputFormat::Json, item) => self.terminal.write_json(&match id {
                Some(id) => json!({ "id": id, "item": item }),
                None => json!({ "item": item }),
            }),
            (OutputFormat::Text, _) if self.reader.is_some() => Ok(()),
            (OutputFormat::Text, Value::String(text)) => self.print_text(text),
            (OutputFormat::Text, item) => {
                self.end_line()?;
                self.terminal.write_json(item)
            }
        }
    }

    fn end_line(&mut self) -> Result<(), CliError> {
        if std::mem::take(&mut self.in_line) {
            self.terminal.write_text("\n")?;
        }
        Ok(())
    }
}

/// Returns a string unchanged, and any other value as indented JSON.
fn to_text(result: &Value) -> String {
    match result {
        Value::String(text) => text.clone(),
        other => {
            let pretty = serde_json::to_string_pretty(other);
            escaped_json(pretty.unwrap_or_else(|_| other.to_string()))
        }
    }
}

impl InvocationSummary {
    /// Returns the summary as a sentence.
    pub(crate) fn text(&self, platform: &str) -> String {
        let answer = match self.items {
            None => "answered".to_owned(),
            Some(1) => "1 item".to_owned(),
            Some(items) => format!("{items} items"),
        };
        let first = match (self.items, self.first_item) {
            (Some(2..), Some(first)) => {
                format!(", the first after {}", seconds(first.as_secs_f64()))
            }
            _ => String::new(),
        };
        let (duration, request) = (seconds(self.duration), &self.request_id);
        format!("{answer} in {duration}{first}, on {platform}, request {request}")
    }
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1000.0)
    } else {
        format!("{seconds:.2} s")
    }
}
