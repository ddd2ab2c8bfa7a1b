//! YAML scalars that every reader takes as the same value.
//!
//! YAML 1.1, which `PyYAML` and other libraries implement, reads more plain scalars as types other
//! than strings than YAML 1.2 does: `no` as a boolean, `2024-01-15` as a date, `12:30:00` as a
//! number. A text is therefore written plain only if it looks like a word in both versions.

use std::fmt::Write as _;

/// Whether a text is a string in every version of YAML without quotes.
///
/// Such a text begins with a letter, contains only letters, digits, inner spaces and `-_./@+`, and
/// is not a word for a boolean or for null. The rule excludes some texts that need no quotes.
pub fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    text.starts_with(char::is_alphabetic)
        && !text.ends_with(' ')
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '/' | '@' | '+'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// Returns a text as a scalar on one line: plain if it [is plain](is_plain), otherwise in double
/// quotes.
///
/// ```
/// use ppio_agent_protocol::yaml::scalar;
///
/// assert_eq!(scalar("my-agent"), "my-agent");
/// assert_eq!(scalar("no"), r#""no""#);
/// assert_eq!(scalar("2024-01-15"), r#""2024-01-15""#);
/// assert_eq!(scalar("two\nlines"), r#""two\nlines""#);
/// ```
pub fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if is_printable(c) => quoted.push(c),
            c => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Whether readers accept a character as it is: not a control character, a line break of YAML 1.1,
/// a byte order mark or a code that is not a character.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}
