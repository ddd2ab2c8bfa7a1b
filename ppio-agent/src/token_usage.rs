//! The tokens that models used, as chat events report them, for metrics, runs and traces.

use serde::{Deserialize, Serialize};

/// The tokens that one `ChatEvent::Usage` reports, or the sum of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct TokenUsage {
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
}

impl TokenUsage {
    /// Parses the JSON of a chat event. Returns `None` if the event is not a usage event.
    pub(crate) fn of_event(json: &[u8]) -> Option<Self> {
        let json = json.strip_prefix(b" ").unwrap_or(json);
        json.starts_with(br#"{"type":"usage","#)
            .then(|| serde_json::from_slice(json).ok())?
    }

    /// Adds the tokens of one event to the sum of the previous events.
    pub(crate) fn add_to(sum: &mut Option<Self>, input_tokens: u64, output_tokens: u64) {
        sum.get_or_insert_default().add(Self {
            input_tokens,
            output_tokens,
        });
    }

    #[cfg(any(feature = "openai", feature = "ui-stream"))]
    pub(crate) fn total(self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Adds the tokens of another event.
    pub(crate) fn add(&mut self, other: Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
    }
}
