//! Text for a terminal.
//!
//! Text from other sources (logs, answers, errors and names of a platform) is escaped when it is
//! added, so every control sequence that remains is a style of this program.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use anstyle::Style;

/// A text with styles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Styled(String);

impl Styled {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.0.push_str(&escaped(text));
    }

    pub(crate) fn push_styled(&mut self, style: Style, text: &str) {
        self.0.push_str(&style.render().to_string());
        self.push(text);
        self.0.push_str(&style.render_reset().to_string());
    }

    pub(crate) fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the text without styles.
    pub(crate) fn plain(&self) -> String {
        anstream::adapter::strip_str(&self.0).to_string()
    }
}

impl From<&str> for Styled {
    fn from(text: &str) -> Self {
        Self(escaped(text).into_owned())
    }
}

impl From<String> for Styled {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for Styled {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl fmt::Display for Styled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Escapes control characters, and characters that change the direction of text: `\x1b`, `\u{9b}`,
/// `\u{202e}`. Tabs and line ends are kept.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_control) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => out.push(c),
            '\r' => out.push_str("\\r"),
            c if !is_control(c) => out.push(c),
            c if c.is_ascii() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(out)
}

/// Escapes the control characters of [`escaped`] in JSON, as `\u009b`, which changes no value.
pub(crate) fn escaped_json(json: String) -> String {
    if !json.contains(is_control) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        // Each control character is one UTF-16 unit, and occurs only in JSON strings.
        if is_control(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character is a control character for terminals or for the direction of text.
fn is_control(c: char) -> bool {
    let is_layout = matches!(c, '\n' | '\t');
    let changes_direction = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && !is_layout) || changes_direction
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        for (text, shown) in [
            (
                "plain, ümläut 日本 🦀\n\ttab",
                "plain, ümläut 日本 🦀\n\ttab",
            ),
            ("\u{1b}[2J\u{1b}]0;title\u{7}", "\\x1b[2J\\x1b]0;title\\x07"),
            ("a\rb\r\nc\r", "a\\rb\r\nc\\r"),
            ("\u{9b}31m\u{85}\u{7f}\0", "\\u{9b}31m\\u{85}\\x7f\\x00"),
            ("\u{202e}\u{2066}x", "\\u{202e}\\u{2066}x"),
            // Right-to-left text needs no control character.
            ("שלום\u{200f}", "שלום\u{200f}"),
        ] {
            assert_eq!(escaped(text), shown, "{text:?}");
        }
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let text = "\u{1b}\u{9b}\u{7f}\u{202e}\n\"日\"";
        let json = escaped_json(serde_json::to_string(text).unwrap());
        assert_eq!(json, r#""\u001b\u009b\u007f\u202e\n\"日\"""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn only_styles_of_this_program_are_kept() {
        let red = AnsiColor::Red.on_default();
        let mut styled = Styled::from("\u{1b}[0m ");
        styled.push_styled(red, "a\u{1b}b");
        assert_eq!(styled.plain(), "\\x1b[0m a\\x1bb");
        assert_eq!(styled.to_string(), "\\x1b[0m \u{1b}[31ma\\x1bb\u{1b}[0m");
    }
}
