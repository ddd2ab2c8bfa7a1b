//! Printing an agent's answer as it comes.

use std::time::{Duration, Instant};

use ppio_agent_client::{Answer, Error, InvocationStream};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::Failure;
use crate::terminal::styled::escaped_json;
use crate::terminal::{Format, Terminal};

/// How an invocation went, beside what the agent said.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) items: Option<u64>,
    pub(super) session_id: String,
    /// As the agent's log has it; [`print()`] takes it from the answer.
    pub(super) request_id: String,
    /// In seconds, from the request to the end of the answer.
    pub(super) duration: f64,
    pub(super) kept: bool,
    #[serde(skip)]
    pub(super) first_item: Option<Duration>,
}

/// Why an answer did not come to its end.
pub(super) enum Stopped {
    /// The agent or the way to it.
    ByError(Error),
    /// Whoever reads.
    ByReader(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::ByReader(failure)
    }
}

/// An answer in one piece.
#[derive(Serialize)]
struct OneAnswer<'a> {
    result: &'a Value,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

/// Prints the answer; a stream's items as they come.
pub(super) async fn print(
    answer: Answer,
    asked: Instant,
    mut outcome: Outcome,
    terminal: &Terminal,
) -> Result<Outcome, Stopped> {
    match answer {
        Answer::Value(response) => {
            outcome.duration = asked.elapsed().as_secs_f64();
            let request_id = response.request_id().unwrap_or_default();
            request_id.clone_into(&mut outcome.request_id);
            let result = response.result.unwrap_or(Value::Null);
            match terminal.format() {
                Format::Json => terminal.json_piece(&OneAnswer {
                    result: &result,
                    outcome: &outcome,
                })?,
                Format::Text => terminal.piece(&format!("{}\n", as_text(&result)))?,
            }
        }
        Answer::Stream(stream) => {
            outcome.request_id = stream.request_id().to_owned();
            let mut items = Items::new(terminal);
            let printed = items.print(stream, asked).await;
            // Whatever is said next begins on a line of its own.
            let ended = items.end_line();
            outcome.items = Some(items.count);
            outcome.first_item = items.first;
            outcome.duration = asked.elapsed().as_secs_f64();
            printed?;
            ended?;
            if terminal.format() == Format::Json {
                terminal.json_piece(&json!({ "end": outcome }))?;
            }
        }
    }
    Ok(outcome)
}

/// The items of a stream on their way to the terminal.
struct Items<'a> {
    terminal: &'a Terminal,
    count: u64,
    first: Option<Duration>,
    /// Text was printed that did not end its line.
    in_line: bool,
}

impl<'a> Items<'a> {
    fn new(terminal: &'a Terminal) -> Self {
        Self {
            terminal,
            count: 0,
            first: None,
            in_line: false,
        }
    }

    async fn print(&mut self, mut stream: InvocationStream, asked: Instant) -> Result<(), Stopped> {
        while let Some(item) = stream.next().await {
            let item = item.map_err(Stopped::ByError)?;
            self.first.get_or_insert_with(|| asked.elapsed());
            self.count += 1;
            self.one(&item)?;
        }
        Ok(())
    }

    /// Texts are parts of one text; everything else is a line.
    fn one(&mut self, item: &Value) -> Result<(), Failure> {
        match (self.terminal.format(), item) {
            (Format::Json, item) => self.terminal.json_piece(&json!({ "item": item })),
            (Format::Text, Value::String(text)) => {
                if !text.is_empty() {
                    self.in_line = !text.ends_with('\n');
                }
                self.terminal.piece(text)
            }
            (Format::Text, item) => {
                self.end_line()?;
                self.terminal.json_piece(item)
            }
        }
    }

    fn end_line(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.in_line) {
            self.terminal.piece("\n")?;
        }
        Ok(())
    }
}

/// A text as it is, anything else as JSON that a person can read.
fn as_text(result: &Value) -> String {
    match result {
        Value::String(text) => text.clone(),
        // A value that came out of JSON goes into it.
        other => {
            let pretty = serde_json::to_string_pretty(other);
            escaped_json(pretty.unwrap_or_else(|_| other.to_string()))
        }
    }
}

impl Outcome {
    /// The last word for a person.
    pub(super) fn summary(&self, platform: &str) -> String {
        let came = match self.items {
            None => "answered".to_owned(),
            Some(1) => "1 item".to_owned(),
            Some(items) => format!("{items} items"),
        };
        let first = match (self.items, self.first_item) {
            (Some(2..), Some(first)) => {
                format!(", the first after {}", time(first.as_secs_f64()))
            }
            _ => String::new(),
        };
        let (whole, request) = (time(self.duration), &self.request_id);
        format!("{came} in {whole}{first}, on {platform}, request {request}")
    }
}

fn time(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1000.0)
    } else {
        format!("{seconds:.2} s")
    }
}
