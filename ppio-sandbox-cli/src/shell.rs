//! Text for a POSIX shell.

/// Returns the text as one word of a shell script, in single quotes.
pub(crate) fn quoted(text: &str) -> String {
    // Only the single quote is special between single quotes.
    format!("'{}'", text.replace('\'', r"'\''"))
}
