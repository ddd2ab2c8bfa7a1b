use super::*;

fn decode(chunks: &[&[u8]]) -> (Vec<Event>, StreamEnd) {
    let mut decoder = Decoder::new();
    for chunk in chunks {
        decoder.push(chunk).unwrap();
    }
    let end = decoder.finish();
    (std::iter::from_fn(|| decoder.next_event()).collect(), end)
}

fn event(data: &str) -> Event {
    Event::new(data)
}

/// Decodes a stream as a whole, byte by byte, and in two chunks split at each byte.
fn check(stream: &[u8], events: &[Event], end: StreamEnd) {
    let expected = (events.to_vec(), end);
    assert_eq!(decode(&[stream]), expected, "{stream:?}");
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(decode(&bytes), expected, "{stream:?} byte by byte");
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(
            decode(&[head, b"", tail]),
            expected,
            "{stream:?} cut at {cut}"
        );
    }
}

#[test]
fn decodes_complete_events() {
    use StreamEnd::Complete;
    for (stream, events) in [
        // nothing to dispatch
        (&b""[..], vec![]),
        (b"\n\r\r\n\n", vec![]),
        (b": comment\n\n:\n", vec![]),
        (b"event: lonely\n\n", vec![]),
        (b"unknown: field\nData: x\n data: x\n\n", vec![]),
        // line ends
        (b"data: a\n\ndata: b\n\n", vec![event("a"), event("b")]),
        (b"data: a\r\rdata: b\r\r", vec![event("a"), event("b")]),
        (
            b"data: a\r\n\r\ndata: b\r\n\r\n",
            vec![event("a"), event("b")],
        ),
        (
            b"data: a\r\n\ndata: b\n\r\ndata: c\r\n\r",
            vec![event("a"), event("b"), event("c")],
        ),
        (b"data: a\n\r\ndata: b\n\n", vec![event("a"), event("b")]),
        // CRLF is one line end, not two: the event continues after it
        (
            b"event: x\r\ndata: a\r\ndata: b\r\n\r\n",
            vec![event("a\nb").with_event("x")],
        ),
        (b"data: a\rdata: b\r\r", vec![event("a\nb")]),
        // values
        (b"data:a\n\n", vec![event("a")]),
        (b"data:  a \n\n", vec![event(" a ")]),
        (b"data:\ta\n\n", vec![event("\ta")]),
        (b"data: a: b:\n\n", vec![event("a: b:")]),
        (b"data\n\n", vec![event("")]),
        (b"data:\n\n", vec![event("")]),
        (b"data: \n\n", vec![event("")]),
        (b"data\ndata\n\n", vec![event("\n")]),
        (b"data: a\ndata:\ndata: b\n\n", vec![event("a\n\nb")]),
        (
            b"data: a\n: between\nother: x\ndata: b\n\n",
            vec![event("a\nb")],
        ),
        (b"data: a\0b\n\n", vec![event("a\0b")]),
        // types
        (
            b"event: x\ndata: a\n\ndata: b\n\n",
            vec![event("a").with_event("x"), event("b")],
        ),
        (
            b"event: x\nevent: y\ndata: a\n\n",
            vec![event("a").with_event("y")],
        ),
        (b"event:\ndata: a\n\n", vec![event("a")]),
        (b"event: x\nevent\ndata: a\n\n", vec![event("a")]),
        // byte order mark: one, and only at the start
        (b"\xef\xbb\xbfdata: a\n\n", vec![event("a")]),
        (
            b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n",
            vec![event("b")],
        ),
        (b"\n\xef\xbb\xbfdata: a\n\n", vec![]),
        (b"data: \xef\xbb\xbfa\n\n", vec![event("\u{feff}a")]),
        // UTF-8
        ("data: é健😀\n\n".as_bytes(), vec![event("é健😀")]),
        (
            "data: a\u{2028}b\u{85}c\u{b}d\n\n".as_bytes(),
            vec![event("a\u{2028}b\u{85}c\u{b}d")],
        ),
        (
            b"data: \xff\xf0\x9f\x98!\xf0\x9f\n\n",
            vec![event("\u{fffd}\u{fffd}!\u{fffd}")],
        ),
        (b"da\xffta: x\n\n", vec![]),
        // retry
        (
            b"retry: 20\ndata: a\n\n",
            vec![event("a").with_retry(Duration::from_millis(20))],
        ),
        (
            b"retry: 2s\nretry: -1\nretry: +1\nretry:\nretry:  1\ndata: a\n\n",
            vec![event("a")],
        ),
        ("retry: １\ndata: a\n\n".as_bytes(), vec![event("a")]),
        (
            b"retry: 99999999999999999999999999\ndata: a\n\n",
            vec![event("a").with_retry(Duration::from_millis(u64::MAX))],
        ),
        // id
        (
            b"id: 1\ndata: a\n\ndata: b\n\n",
            vec![event("a").with_id("1"), event("b")],
        ),
        (
            b"id: 1\nid: 2\0\ndata: a\n\n",
            vec![event("a").with_id("1")],
        ),
        (b"id\ndata: a\n\n", vec![event("a").with_id("")]),
    ] {
        check(stream, &events, Complete);
    }
}

#[test]
fn an_id_without_data_is_that_of_the_next_event() {
    for (stream, events) in [
        (
            &b"id: 1\ndata: a\n\nid:\n\ndata: b\n\ndata: c\n\n"[..],
            vec![event("a").with_id("1"), event("b").with_id(""), event("c")],
        ),
        (
            b"id: 1\n\nid: 2\n\n\n: beat\n\ndata: a\n\n",
            vec![event("a").with_id("2")],
        ),
        (
            b"id: 1\n\nid: 3\ndata: a\n\ndata: b\n\n",
            vec![event("a").with_id("3"), event("b")],
        ),
        (b"id: 1\n\n", vec![]),
        (b"\xef\xbb\xbf", vec![]),
    ] {
        check(stream, &events, StreamEnd::Complete);
    }
}

#[test]
fn discards_and_reports_an_incomplete_event() {
    for stream in [
        &b"data: a\n\ndata: b"[..],
        b"data: a\n\ndata: b\n",
        b"data: a\n\nevent: x\n",
        b"data: a\n\nid: 1\n",
        b"data: a\n\nd",
        b"data: a\n\n: half a comm",
    ] {
        check(stream, &[event("a")], StreamEnd::Truncated);
    }
    check(
        b"data: a\n\n: a whole comment\n",
        &[event("a")],
        StreamEnd::Complete,
    );
}

#[test]
fn keeps_id_and_reconnection_time() {
    let mut decoder = Decoder::default();
    assert_eq!(
        (decoder.last_event_id(), decoder.reconnection_time()),
        ("", None)
    );
    decoder.push(b"retry: 5\nid: 1\n").unwrap();
    assert_eq!(decoder.reconnection_time(), Some(Duration::from_millis(5)));
    assert_eq!(
        decoder.last_event_id(),
        "",
        "set by the blank line, not before"
    );
    decoder.push(b"\n").unwrap();
    assert_eq!(
        decoder.last_event_id(),
        "1",
        "even when nothing is dispatched"
    );
    decoder.push(b"data: x\n\nid: 2\0\n\n").unwrap();
    assert_eq!(decoder.last_event_id(), "1");
    decoder.push(b"id\n\n").unwrap();
    assert_eq!(decoder.last_event_id(), "");
}

#[test]
fn fails_after_an_event_beyond_the_limit() {
    for flood in [
        &b"data: 0123456789"[..],          // an endless line
        b"data: 01\ndata: 01\ndata: 01\n", // endless lines
        b": 01234567890123",               // an endless comment
        b"data: 0123456789\n\n",
        b"event: 0123\ndata: 012\n",
    ] {
        for size in [1, flood.len()] {
            let mut decoder = Decoder::with_limit(12);
            decoder.push(b"data: before\n\n").unwrap();
            let result = flood.chunks(size).try_for_each(|chunk| decoder.push(chunk));
            assert_eq!(
                result,
                Err(EventTooLarge { limit: 12 }),
                "{flood:?} by {size}"
            );
            assert_eq!(decoder.next_event(), Some(event("before")));
            assert_eq!(
                decoder.push(b"\n\ndata: x\n\n"),
                Err(EventTooLarge { limit: 12 })
            );
            assert_eq!(decoder.next_event(), None);
        }
    }
}

#[test]
fn applies_the_limit_to_one_event() {
    let mut decoder = Decoder::with_limit(12);
    for _ in 0..1000 {
        decoder.push(b"data: before\n\n: beat\n\n").unwrap();
        assert_eq!(decoder.next_event(), Some(event("before")));
    }
}

/// Decodes 4 MiB byte by byte, which would take 10^13 steps in quadratic time.
#[test]
fn takes_linear_time_for_small_chunks() {
    const SIZE: usize = 4 * 1024 * 1024;
    let mut decoder = Decoder::new();
    decoder.push(b"data: ").unwrap();
    for _ in 0..SIZE {
        decoder.push(b"x").unwrap();
    }
    decoder.push(b"\n\n").unwrap();
    assert_eq!(decoder.next_event().unwrap().data.len(), SIZE);

    // As many bytes in short lines of one event, and in many events that are read at the end.
    for _ in 0..SIZE / 8 {
        decoder.push(b"data:").unwrap();
        decoder.push(b"xy\n").unwrap();
    }
    decoder.push(b"\n").unwrap();
    assert_eq!(decoder.next_event().unwrap().data.len(), SIZE / 8 * 3 - 1);
    for _ in 0..SIZE / 8 {
        decoder.push(b"data:x\n").unwrap();
        decoder.push(b"\n").unwrap();
    }
    assert_eq!(
        std::iter::from_fn(|| decoder.next_event()).count(),
        SIZE / 8
    );
}
