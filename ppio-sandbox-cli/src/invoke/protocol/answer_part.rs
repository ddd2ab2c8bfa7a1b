//! The parts of an answer that are printed for the user.

use serde_json::Value;

/// The longest note, in characters.
const MAX_NOTE: usize = 400;

/// A part of an answer.
#[derive(Debug, PartialEq)]
pub(crate) enum AnswerPart {
    /// Text, which continues the text before it.
    Text(String),
    /// The end of a text.
    EndOfText,
    /// A value, in a line of its own.
    Value(Value),
    /// A note on what happened, in a line of standard error.
    Note(String),
}

impl AnswerPart {
    /// Creates the part for a value: a string as text, any other value in a line of its own.
    pub(super) fn of_value(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.clone()),
            other => Self::Value(other.clone()),
        }
    }

    pub(super) fn note(text: &str) -> Self {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Self::Note(match line.char_indices().nth(MAX_NOTE) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        })
    }

    /// Returns the note with the result of a tool that the agent called.
    pub(super) fn tool_result(result: &Value, is_error: bool) -> Self {
        let what = if is_error { "error" } else { "result" };
        let text = result.as_str().map(str::to_owned);
        let text = text.unwrap_or_else(|| result.to_string());
        Self::note(&format!("tool {what}: {text}"))
    }

    /// Returns the note that the agent waits for an answer; the answer has to name `subject`.
    pub(super) fn interrupt(subject: &str, reason: &str, message: Option<&str>) -> Self {
        let message = message.map(|message| format!(": {message}"));
        let message = message.unwrap_or_default();
        Self::note(&format!("interrupt {subject} ({reason}){message}"))
    }
}
