//! The sequence numbers of the events of a response.

use crate::protocols::events::EventWriter;

/// Numbers the events of a response.
#[derive(Debug, Default)]
pub(super) struct SequenceNumbers {
    pub(super) next: u64,
    /// The number of the last event that the caller has.
    pub(super) after: Option<u64>,
}

impl SequenceNumbers {
    /// Writes an event with `members`, which are JSON, unless the caller already has the event.
    pub(super) fn event(&mut self, events: &mut EventWriter, name: &str, members: [&str; 2]) {
        let number = self.next;
        self.next += 1;
        if self.after.is_some_and(|after| number <= after) {
            return;
        }
        let kind = r#"{"type":""#;
        let number = number.to_string();
        let sequence = r#"","sequence_number":"#;
        let [first, second] = members;
        events.named_parts(
            name,
            &[kind, name, sequence, &number, ",", first, second, "}"],
        );
    }
}
