//! Tests that written streams are read back, in chunks of any size.

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

/// One dispatched event: its type, its data and the last id of the stream.
type Dispatched = (String, String, String);

/// Applies the rules of the standard, word by word, to a whole stream of complete lines.
/// <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>
fn interpret(wire: &[u8]) -> (Vec<Dispatched>, String, Option<u64>) {
    let text = String::from_utf8_lossy(wire);
    let text = normalized(text.strip_prefix('\u{feff}').unwrap_or(&text));
    let (mut data, mut event_type, mut id_buffer) = (String::new(), String::new(), String::new());
    let (mut dispatched, mut last_id, mut retry) = (Vec::new(), String::new(), None);
    let complete = text.rfind('\n').map_or("", |end| &text[..=end]);
    for line in complete.split_terminator('\n') {
        if line.is_empty() {
            last_id.clone_from(&id_buffer);
            let event_type = std::mem::take(&mut event_type);
            let mut data = std::mem::take(&mut data);
            if data.pop().is_some() {
                dispatched.push((event_type, data, last_id.clone()));
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event_type),
            "data" => data.extend([value, "\n"]),
            "id" if !value.contains('\0') => value.clone_into(&mut id_buffer),
            "retry" if !value.is_empty() && value.bytes().all(|it| it.is_ascii_digit()) => {
                retry = Some(value.parse().unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }
    (dispatched, last_id, retry)
}

/// Streams in which fields, blank lines and forbidden characters are frequent.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        &b""[..],
        b"data: x",
        b"data:  y: z",
        b"data",
        b"id: 1",
        b"id: 2\0",
        b"id:",
        b"id",
        b"event: e",
        b"event",
        b"retry: 7",
        b"retry: 7s",
        b": data: x",
        b" data: x",
        b"\xef\xbb\xbfdata: x",
        b"\xef\xbb\xbf",
        b"data: \xff",
        "data: \u{2028}\u{85}".as_bytes(),
    ]);
    let end = prop::sample::select(vec![&b"\n"[..], b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b""]);
    vec((line, end), 0..24).prop_map(|lines| {
        let pieces = lines.into_iter().flat_map(|(line, end)| [line, end]);
        pieces.collect::<Vec<_>>().concat()
    })
}

proptest! {
    #[test]
    fn any_stream_is_read_as_the_standard_says(wire in stream()) {
        let (expected, last_id, retry) = interpret(&wire);
        let mut decoder = Decoder::new();
        decoder.push(&wire).unwrap();
        let mut id = String::new();
        let events: Vec<Dispatched> = std::iter::from_fn(|| decoder.next_event())
            .map(|event| {
                id = event.id.unwrap_or(std::mem::take(&mut id));
                (event.event.unwrap_or_default(), event.data, id.clone())
            })
            .collect();
        prop_assert_eq!(events, expected);
        prop_assert_eq!(decoder.last_event_id(), last_id);
        prop_assert_eq!(decoder.reconnection_time(), retry.map(Duration::from_millis));
    }

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
