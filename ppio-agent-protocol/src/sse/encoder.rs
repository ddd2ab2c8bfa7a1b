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

/// Appends an event whose data is `item` as JSON, serialized into `buffer` without a copy.
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
/// `item` cannot be serialized; `buffer` is then unchanged.
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
    // Compact JSON has no line breaks, except inside a `RawValue`.
    if has_line_break(&buffer[start..]) {
        let payload = buffer.split_off(start + DATA.len());
        buffer.truncate(start);
        write_data_lines(buffer, &payload);
    } else {
        buffer.put_u8(b'\n');
    }
    buffer.put_u8(b'\n');
    Ok(())
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
