//! A line of the agent's output, parsed once for all its readers.

use serde_json::{Map, Value};

#[derive(Debug)]
pub(super) struct OutputLine<'a> {
    pub(super) text: &'a str,
    /// The value of a line that is JSON.
    pub(super) json: Option<Value>,
}

impl<'a> From<&'a str> for OutputLine<'a> {
    fn from(text: &'a str) -> Self {
        Self {
            text,
            json: serde_json::from_str(text).ok(),
        }
    }
}

impl OutputLine<'_> {
    /// Returns the members of a line that is a JSON object, as log lines are.
    pub(super) fn members(&self) -> Option<&Map<String, Value>> {
        self.json.as_ref()?.as_object()
    }
}
