//! Tool calls, whose arguments arrive in parts.

use super::AnswerPart;

/// The tool calls that have begun but not ended.
#[derive(Debug, Default)]
pub(super) struct OpenToolCalls {
    open: Vec<OpenToolCall>,
}

#[derive(Debug)]
struct OpenToolCall {
    id: String,
    name: String,
    arguments: String,
}

impl OpenToolCalls {
    pub(super) fn start(&mut self, id: &str, name: &str) {
        self.open.push(OpenToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: String::new(),
        });
    }

    /// Adds a part of the arguments of a call that has begun.
    pub(super) fn add_arguments(&mut self, id: &str, delta: &str) {
        if let Some(call) = self.open.iter_mut().find(|call| call.id == id) {
            call.arguments.push_str(delta);
        }
    }

    /// Removes and returns the call that ends.
    pub(super) fn end(&mut self, id: &str) -> Option<AnswerPart> {
        let index = self.open.iter().position(|call| call.id == id)?;
        Some(self.open.remove(index).into_part())
    }

    /// Removes and returns all calls.
    pub(super) fn end_all(&mut self) -> impl Iterator<Item = AnswerPart> {
        self.open.drain(..).map(OpenToolCall::into_part)
    }
}

impl OpenToolCall {
    fn into_part(self) -> AnswerPart {
        AnswerPart::note(&format!("tool call: {} {}", self.name, self.arguments))
    }
}
