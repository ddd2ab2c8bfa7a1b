//! Shortens a text without cutting a character.

/// Returns the longest beginning of a text that has at most `limit` bytes and ends between two
/// characters.
pub(crate) fn clipped(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_cut() {
        for (limit, expected) in [
            (0, ""),
            (1, "a"),
            (2, "a"),
            (3, "aé"),
            (4, "aéb"),
            (9, "aéb"),
        ] {
            assert_eq!(clipped("aéb", limit), expected, "{limit}");
        }
    }
}
