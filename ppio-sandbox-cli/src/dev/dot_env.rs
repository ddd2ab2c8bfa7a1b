//! The variables in the project's `.env`.
//!
//! A line is `NAME=VALUE`, optionally after `export`. A value without quotes ends at a `#` after a
//! space or a tab; a value in single quotes is taken literally, and a value in double quotes has
//! the escapes `\n`, `\r`, `\t`, `\"`, `\\` and `\$`. References to other variables are not
//! expanded.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs, io};

use crate::error::{CliError, ExitKind};

pub(super) const FILE_NAME: &str = ".env";

/// Variables by name.
pub(super) type Variables = BTreeMap<String, String>;

/// Returns the variables of the file in `folder` that are not set in the environment; none if there
/// is no file.
///
/// # Errors
/// If the file cannot be read, or a line is malformed. The error does not quote the value of the
/// line, which may be a secret.
pub(super) fn read(folder: &Path) -> Result<Variables, CliError> {
    let text = match fs::read_to_string(folder.join(FILE_NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Variables::new()),
        Err(error) => {
            let message = format!("cannot read {FILE_NAME}");
            return Err(CliError::new(ExitKind::Usage, message).caused_by(&error));
        }
    };
    let mut variables = parse(&text)?;
    variables.retain(|name, _| env::var_os(name).is_none());
    Ok(variables)
}

fn parse(text: &str) -> Result<Variables, CliError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables = Variables::new();
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = parse_line(line).map_err(|reason| {
            let message = format!("line {number} of {FILE_NAME} {reason}");
            CliError::new(ExitKind::Usage, message).help("write each line as `NAME=value`")
        })?;
        variables.insert(name.to_owned(), value);
    }
    Ok(variables)
}

fn parse_line(line: &str) -> Result<(&str, String), &'static str> {
    if line.contains('\0') {
        return Err("has a NUL character");
    }
    let (name, value) = line.split_once('=').ok_or("has no `=`")?;
    let name = name.trim();
    let name = match name.split_once(char::is_whitespace) {
        Some(("export", name)) => name.trim_start(),
        _ => name,
    };
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err("has no name that begins with a letter or `_`");
    }
    if !name.chars().all(is_part) {
        return Err("has a name with characters other than letters, digits and `_`");
    }
    Ok((name, parse_value(value.trim_start())?))
}

fn parse_value(text: &str) -> Result<String, &'static str> {
    let Some(quote @ ('\'' | '"')) = text.chars().next() else {
        return Ok(unquoted(text).to_owned());
    };
    let mut value = String::new();
    let mut chars = text[1..].chars();
    loop {
        match chars.next().ok_or("has a quote that is not closed")? {
            char if char == quote => break,
            '\\' if quote == '"' => match chars.next() {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(char @ ('"' | '\\' | '$')) => value.push(char),
                _ => {
                    return Err("has a `\\` that begins none of \\n, \\r, \\t, \\\", \\\\ and \\$");
                }
            },
            char => value.push(char),
        }
    }
    let rest = chars.as_str().trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(value)
    } else {
        Err("has text after the quote that ends its value")
    }
}

/// Returns a value without quotes, up to a comment.
fn unquoted(text: &str) -> &str {
    if text.starts_with('#') {
        return "";
    }
    let mut marks = text.match_indices('#').map(|(at, _)| at);
    let comment = marks.find(|at| text[..*at].ends_with([' ', '\t']));
    text[..comment.unwrap_or(text.len())].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_with_and_without_quotes() {
        for (line, value) in [
            ("A=b", "b"),
            ("A = b c ", "b c"),
            ("export A=b", "b"),
            ("A=", ""),
            ("A= # comment", ""),
            ("A=b # comment", "b"),
            ("A=b\t# see # 3", "b"),
            ("A=b#c # d", "b#c"),
            ("A=b#c", "b#c"),
            ("A=b=c", "b=c"),
            ("A='b # $C \\n' # comment", "b # $C \\n"),
            (r#"A="b\n\"\\\$ 'c'""#, "b\n\"\\$ 'c'"),
            ("A=$B", "$B"),
            ("\u{feff}A=b", "b"),
            ("A=first\r\n\n  # comment\nA=last\r\n", "last"),
        ] {
            let found = parse(line).expect(line);
            assert_eq!(found.get("A").map(String::as_str), Some(value), "{line:?}");
            assert_eq!(found.len(), 1, "{line:?}");
        }
    }

    #[test]
    fn an_error_names_the_line_and_not_the_value() {
        for (line, says) in [
            ("secret", "has no `=`"),
            ("=secret", "has no name"),
            ("1A=secret", "has no name"),
            ("A-B=secret", "has a name with"),
            ("A B=secret", "has a name with"),
            ("A='secret", "is not closed"),
            ("A=\"secret\\\"", "is not closed"),
            ("A=\"secret\\d\"", "begins none of"),
            ("A='secret' more", "has text after"),
            ("A=sec\0ret", "NUL"),
        ] {
            let error = parse(&format!("OK=1\n\n{line}\n")).expect_err(line);
            assert!(
                error.message.starts_with("line 3 of .env "),
                "{}",
                error.message
            );
            assert!(error.message.contains(says), "{}", error.message);
            assert!(!error.message.contains("secret"), "{}", error.message);
        }
    }
}
