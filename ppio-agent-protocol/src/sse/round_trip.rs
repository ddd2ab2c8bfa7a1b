//! Written streams are read, in chunks of any size.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{Decoder, Event, write_comment, write_data};

/// Texts in which the characters of the format are frequent.
fn text() -> impl Strategy<Value = String> {
    "([\\r\\n: ]|data|é|😀|\\u{feff}|\\PC){0,12}"
}

fn event() -> impl Strategy<Value = Event> {
    let word = "([: a-z😀]{1,6})";
    (
        text(),
        option::of(word),
        option::of("[: a-z0-9😀]{0,6}"),
        option::of(0..u64::MAX),
    )
        .prop_map(|(data, event, id, retry)| Event {
            event,
            data,
            id,
            retry: retry.map(Duration::from_millis),
        })
}

/// Replaces the line ends as the format does.
fn normalized(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn decode_in_chunks(wire: &[u8], cuts: &[prop::sample::Index]) -> (Vec<Event>, bool) {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
    cuts.extend([0, wire.len()]);
    cuts.sort_unstable();
    let mut decoder = Decoder::new();
    let mut events = Vec::new();
    for ends in cuts.windows(2) {
        decoder.push(&wire[ends[0]..ends[1]]).unwrap();
        events.extend(std::iter::from_fn(|| decoder.next_event()));
    }
    (events, decoder.finish().is_truncated())
}

proptest! {
    #[test]
    fn events_are_read_in_any_chunks(
        events in vec(event(), 0..8),
        comment in text(),
        cuts in vec(any::<prop::sample::Index>(), 0..24),
    ) {
        let mut wire = Vec::new();
        for event in &events {
            event.write(&mut wire).unwrap();
            write_comment(&mut wire, &comment);
        }
        let expected: Vec<Event> = events
            .into_iter()
            .map(|event| Event { data: normalized(&event.data), ..event })
            .collect();
        prop_assert_eq!(decode_in_chunks(&wire, &cuts), (expected, false));
    }

    #[test]
    fn payloads_are_read_in_any_chunks(
        payloads in vec(text(), 0..8),
        cuts in vec(any::<prop::sample::Index>(), 0..24),
    ) {
        let mut wire = Vec::new();
        for payload in &payloads {
            write_data(&mut wire, payload.as_bytes());
        }
        let normalize = |text: &String| Event::new(normalized(text));
        let expected: Vec<Event> = payloads.iter().map(normalize).collect();
        prop_assert_eq!(decode_in_chunks(&wire, &cuts), (expected, false));
    }

    #[test]
    fn any_bytes_are_read_alike_in_any_chunks(
        wire in vec(
            prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'd'), any::<u8>()],
            0..64,
        ),
        cuts in vec(any::<prop::sample::Index>(), 0..24),
    ) {
        prop_assert_eq!(decode_in_chunks(&wire, &cuts), decode_in_chunks(&wire, &[]));
    }
}
