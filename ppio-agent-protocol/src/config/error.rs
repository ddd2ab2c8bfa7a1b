//! What is wrong with a document, and where.

use std::fmt;

use serde_path_to_error::Path;

/// The first mistake of a document: the field, the place, and what to do.
///
/// Displays as `metadata.name (line 4, column 9): "My Agent" holds 'M', use only …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    path: Option<String>,
    place: Option<Place>,
    problem: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
}

impl ConfigError {
    /// The field, such as `metadata.name`; `None` if the mistake is in no field, as when the text is not even
    /// JSON or YAML.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The line, counted from 1, if the document came as text.
    pub fn line(&self) -> Option<usize> {
        self.place.map(|place| place.line)
    }

    /// The column, counted from 1, if the document came as text. For YAML it is where the value starts (for a missing
    /// field, where its section starts), for JSON where reading stopped.
    pub fn column(&self) -> Option<usize> {
        self.place.map(|place| place.column)
    }

    /// What is wrong and what to do about it, without the place.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// From what a format's library reports. Its text repeats the path and the place, which are taken out.
    pub(super) fn new(path: Option<&Path>, line: usize, column: usize, message: &str) -> Self {
        // The path of the document itself is empty, and displays as a dot.
        let path = path
            .filter(|path| path.iter().len() > 0)
            .map(Path::to_string);
        let place = (line > 0).then_some(Place { line, column });
        let message = message
            .strip_suffix(&format!(" at line {line} column {column}"))
            .unwrap_or(message);
        let message = path
            .as_ref()
            .and_then(|path| message.strip_prefix(path.as_str())?.strip_prefix(": "))
            .unwrap_or(message);
        match missing_field(message) {
            Some(field) => Self {
                path: Some(
                    path.map_or_else(|| field.to_owned(), |section| format!("{section}.{field}")),
                ),
                place,
                problem: format!("the field is missing, add `{}`", example(field)),
            },
            None => Self {
                path,
                place,
                problem: message.to_owned(),
            },
        }
    }
}

/// serde reports a missing field at the section that lacks it.
fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// What to write for a field that must be there.
fn example(field: &str) -> String {
    let value = match field {
        "name" => " my-agent",
        "version" => " \"1.0.0\"",
        "author" => " developer@example.com",
        "entrypoint" => " src/main.rs",
        _ => "",
    };
    format!("{field}:{value}")
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, self.place) {
            (Some(path), Some(Place { line, column })) => {
                write!(f, "{path} (line {line}, column {column}): ")?;
            }
            (Some(path), None) => write!(f, "{path}: ")?,
            (None, Some(Place { line, column })) => write!(f, "line {line}, column {column}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for ConfigError {}
