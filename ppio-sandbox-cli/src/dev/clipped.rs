//! Texts that are cut to a length.

/// The mark at the end of a text that was cut.
const MARK: char = '…';

/// Returns the text, or the characters in its first `limit` bytes followed by a mark.
pub(super) fn clipped(text: String, limit: usize) -> String {
    if text.len() <= limit {
        return text;
    }
    let is_boundary = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=limit).rev().find(is_boundary).unwrap_or_default();
    let mut start = text[..end].to_owned();
    start.push(MARK);
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_two_characters() {
        for (text, limit, expected) in [
            ("", 0, ""),
            ("abc", 3, "abc"),
            ("abc", 2, "ab…"),
            ("aé", 2, "a…"),
            ("日本", 5, "日…"),
            ("日本", 2, "…"),
        ] {
            assert_eq!(clipped(text.to_owned(), limit), expected, "{text} {limit}");
        }
    }
}
