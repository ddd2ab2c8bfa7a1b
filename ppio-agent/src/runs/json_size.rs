//! The size of a text as JSON, the form in which the journal stores most texts.

/// Returns the size of a text as JSON in bytes, without the quotes.
pub(crate) fn escaped_size(text: &[u8]) -> usize {
    text.iter().copied().map(escaped_byte_size).sum()
}

/// Returns the longest prefix of `text` whose JSON has at most `limit` bytes, without the quotes.
pub(super) fn beginning(text: &str, limit: usize) -> &str {
    let mut size = 0;
    for (at, character) in text.char_indices() {
        let end = at + character.len_utf8();
        size += escaped_size(&text.as_bytes()[at..end]);
        if size > limit {
            return &text[..at];
        }
    }
    text
}

/// Returns the number of bytes that `serde_json` writes for one byte of a text.
fn escaped_byte_size(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..=0x1f => 6,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_that_of_the_written_json() {
        let ascii: String = (0..=127).map(char::from).collect();
        for text in ["", "a", "\"\\", "\u{e9}\u{1f600}\n", &ascii] {
            let written = serde_json::to_string(text).unwrap();
            let size = escaped_size(text.as_bytes());
            assert_eq!(size, written.len() - 2, "{text:?}");
            assert_eq!(beginning(text, size), text);
            for limit in 0..size {
                let cut = beginning(text, limit);
                assert!(text.starts_with(cut) && cut.len() < text.len());
                assert!(escaped_size(cut.as_bytes()) <= limit, "{text:?}");
            }
        }
    }
}
