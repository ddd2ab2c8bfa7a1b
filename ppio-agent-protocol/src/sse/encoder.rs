//! Writes an event stream.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

const DATA: &[u8] = b"data: ";

/// Appends an event that has only data, which must be UTF-8.
///
/// Each line of the payload becomes a `data:` line, and readers join them with `\n`.
pub fn write_data(buffer: &mut impl BufMut, payload: &[u8]) {
    write_data_lines(buffer, payload);
    buffer.put_u8(b'\n');
}

/// Appends an event whose data is `item` as JSON in one `data:` line, serialized into `buffer`
/// without a copy; see [`single_line`].
///
/// ```
/// use bytes::BytesMut;
/// use ppio_agent_protocol::sse;
///
/// let mut wire = BytesMut::new();
/// sse::write_json(&mut wire, &"two\nlines")?;
/// assert_eq!(&wire[..], b"data: \"two\\nlines\"\n\n");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
///
/// If `item` cannot be serialized; `buffer` is then unchanged.
pub fn write_json<T>(buffer: &mut BytesMut, item: &T) -> Result<(), serde_json::Error>
where
    T: Serialize + ?Sized,
{
    let start = buffer.len();
    buffer.put_slice(DATA);
    if let Err(error) = serde_json::to_writer(buffer.writer(), item) {
        buffer.truncate(start);
        return Err(error);
    }
    let json = start + DATA.len();
    if let Some(line) = single_line(&buffer[json..]) {
        buffer.truncate(json);
        buffer.put_slice(&line);
    }
    buffer.put_slice(b"\n\n");
    Ok(())
}

/// Rewrites a JSON text that readers of an event stream may split into lines; `None` if the text
/// has no character to rewrite.
///
/// Line breaks of the layout, which a `RawValue` keeps, become spaces. U+0085, U+2028 and U+2029
/// in strings become escapes: the standard does not end lines with them, but the line iterators of
/// several languages do. The value of the JSON stays the same.
///
/// ```
/// use ppio_agent_protocol::sse;
///
/// let line = sse::single_line("[\n\"a\u{2028}b\"]".as_bytes());
/// assert_eq!(line.as_deref(), Some(&br#"[ "a\u2028b"]"#[..]));
/// assert_eq!(sse::single_line(b"[1]"), None);
/// ```
#[inline]
pub fn single_line(json: &[u8]) -> Option<Vec<u8>> {
    if is_plain(json) {
        return None;
    }
    rewritten_line(json)
}

#[cold]
fn rewritten_line(json: &[u8]) -> Option<Vec<u8>> {
    if !has_line_break(json) && !has_unicode_line_break(json) {
        return None;
    }
    let mut line = Vec::with_capacity(json.len() + 16);
    let mut rest = json;
    while let Some((&byte, after)) = rest.split_first() {
        // JSON has no raw line breaks within strings, and no Unicode line breaks outside strings.
        let length = match (byte, unicode_line_break(rest)) {
            (b'\n' | b'\r', _) => {
                line.push(b' ');
                1
            }
            (_, Some((escape, length))) => {
                line.extend_from_slice(escape);
                length
            }
            _ => {
                line.push(byte);
                1
            }
        };
        rest = &after[length - 1..];
    }
    Some(line)
}

fn has_unicode_line_break(text: &[u8]) -> bool {
    memchr::memchr2_iter(0xC2, 0xE2, text).any(|at| unicode_line_break(&text[at..]).is_some())
}

/// Returns the escape and the length in UTF-8 of the line break that a text starts with, if it is
/// not an ASCII one.
fn unicode_line_break(text: &[u8]) -> Option<(&'static [u8], usize)> {
    match text {
        [0xC2, 0x85, ..] => Some((br"\u0085", 2)),
        [0xE2, 0x80, 0xA8, ..] => Some((br"\u2028", 3)),
        [0xE2, 0x80, 0xA9, ..] => Some((br"\u2029", 3)),
        _ => None,
    }
}

/// Appends a comment, which readers ignore.
///
/// Regular comments keep proxies from closing an idle stream.
pub fn write_comment(buffer: &mut impl BufMut, text: &str) {
    for line in lines(text.as_bytes()) {
        buffer.put_slice(b": ");
        buffer.put_slice(line);
        buffer.put_u8(b'\n');
    }
    buffer.put_u8(b'\n');
}

pub(super) fn write_data_lines(buffer: &mut impl BufMut, payload: &[u8]) {
    for line in lines(payload) {
        buffer.put_slice(DATA);
        buffer.put_slice(line);
        buffer.put_u8(b'\n');
    }
}

/// Whether all bytes are printable ASCII or DEL, as in almost all items. Looks at eight bytes at a
/// time, because every item of a stream is checked.
#[inline]
fn is_plain(json: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    // The highest bit of a byte is set in the difference if the byte is below a space, and in the
    // word itself if it is not ASCII. A byte borrows from the next one only if it is below a space.
    let is_plain_word =
        |word: u64| (word.wrapping_sub(ONES * u64::from(b' ')) | word) & (ONES << 7) == 0;
    let Some(last) = json.last_chunk::<8>() else {
        return json.iter().all(|byte| (b' '..0x80).contains(byte));
    };
    let (words, _) = json.as_chunks::<8>();
    // The last bytes, which may not fill a word, are checked as a word of their own. All words
    // are checked without an early return, since almost all items are plain.
    words.iter().chain([last]).fold(true, |plain, word| {
        plain & is_plain_word(u64::from_ne_bytes(*word))
    })
}

pub(super) fn has_line_break(text: &[u8]) -> bool {
    memchr::memchr2(b'\n', b'\r', text).is_some()
}

/// Returns the lines of a text. A line break at the end is followed by an empty line, so that
/// joining the lines with `\n` restores the text.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = memchr::memchr2(b'\n', b'\r', text) else {
            rest = None;
            return Some(text);
        };
        let after = if text[end..].starts_with(b"\r\n") {
            end + 2
        } else {
            end + 1
        };
        rest = Some(&text[after..]);
        Some(&text[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::ser::{Error, Serializer};

    #[test]
    fn writes_one_data_line_per_line() {
        for (payload, wire) in [
            (&b""[..], &b"data: \n\n"[..]),
            (b"{}", b"data: {}\n\n"),
            (b" x", b"data:  x\n\n"),
            (b"a\nb", b"data: a\ndata: b\n\n"),
            (b"a\r\nb\rc\n", b"data: a\ndata: b\ndata: c\ndata: \n\n"),
            (b"\n", b"data: \ndata: \n\n"),
            (
                "\u{2028}\u{85}".as_bytes(),
                "data: \u{2028}\u{85}\n\n".as_bytes(),
            ),
        ] {
            let mut buffer = Vec::new();
            write_data(&mut buffer, payload);
            assert_eq!(buffer, wire, "{payload:?}");
        }
    }

    #[test]
    fn plain_bytes_are_found_at_every_position() {
        for length in 0..20 {
            let plain = vec![b'~'; length];
            assert!(is_plain(&plain));
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut json = plain.clone();
                    json[place] = byte;
                    let expected = (b' '..0x80).contains(&byte);
                    assert_eq!(is_plain(&json), expected, "{byte} at {place} of {length}");
                }
            }
        }
    }

    #[test]
    fn json_is_one_line_of_the_same_value() {
        use serde_json::value::RawValue;
        for (layout, wire) in [
            ("{\n  \"a\": 1\r\n}", "data: {   \"a\": 1  }\n\n"),
            ("[1,\r2]", "data: [1, 2]\n\n"),
            (
                "\"\u{2028}\u{2029}\u{85}\u{2027}\u{202a}\u{84}\u{86}\"",
                "data: \"\\u2028\\u2029\\u0085\u{2027}\u{202a}\u{84}\u{86}\"\n\n",
            ),
            ("[\"é健\u{2028}\",\n2]", "data: [\"é健\\u2028\", 2]\n\n"),
            ("\"\u{e2}\u{c2}—“”\"", "data: \"\u{e2}\u{c2}—“”\"\n\n"),
        ] {
            let item: &RawValue = serde_json::from_str(layout).unwrap();
            let mut buffer = BytesMut::from(&b"data: 1\n\n"[..]);
            write_json(&mut buffer, item).unwrap();
            assert_eq!(&buffer[9..], wire.as_bytes(), "{layout:?}");
            let json = wire.strip_prefix("data: ").unwrap();
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(
                value,
                serde_json::from_str::<serde_json::Value>(layout).unwrap()
            );
        }
    }

    #[test]
    fn comments_cannot_contain_other_fields() {
        let mut buffer = Vec::new();
        write_comment(&mut buffer, "a\ndata: forged\r\n\rz");
        assert_eq!(buffer, b": a\n: data: forged\n: \n: z\n\n");
    }

    #[test]
    fn a_failed_json_leaves_the_buffer_unchanged() {
        struct FailsAfterOneItem;
        impl Serialize for FailsAfterOneItem {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeSeq;
                let mut items = serializer.serialize_seq(None)?;
                items.serialize_element(&1)?;
                Err(S::Error::custom("failed"))
            }
        }

        let mut buffer = BytesMut::from(&b"data: 1\n\n"[..]);
        write_json(&mut buffer, &FailsAfterOneItem).unwrap_err();
        assert_eq!(&buffer[..], b"data: 1\n\n");
        write_json(&mut buffer, &[1, 2]).unwrap();
        assert_eq!(&buffer[..], b"data: 1\n\ndata: [1,2]\n\n");
    }
}
