//! What is wrong with a document, and where.

use std::fmt;

use serde_path_to_error::{Path, Segment};

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

    /// The column, counted from 1, if the document came as text. For YAML it is where the value starts (for a
    /// missing or doubled field, where its section starts), for JSON where reading stopped.
    pub fn column(&self) -> Option<usize> {
        self.place.map(|place| place.column)
    }

    /// What is wrong and what to do about it, without the place.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// From what a format's library reports. Its text repeats the path and the place, which are taken out,
    /// and serde's own texts about fields get their remedy.
    pub(super) fn new(path: Option<&Path>, line: usize, column: usize, message: &str) -> Self {
        // An empty JSON text ends in column 0.
        let place = (line > 0).then_some(Place {
            line,
            column: column.max(1),
        });
        let path = path.and_then(known_part);
        let message = message
            .strip_suffix(&format!(" at line {line} column {column}"))
            .unwrap_or(message);
        let message = path
            .as_ref()
            .and_then(|path| message.strip_prefix(path.as_str())?.strip_prefix(": "))
            .unwrap_or(message);
        let (field, problem) = if let Some(field) = quoted_after("missing field ", message) {
            (
                field,
                format!("the field is missing, add `{}`", example(field)),
            )
        } else if let Some(field) = quoted_after("duplicate field ", message) {
            (field, "the field stands there twice, remove one".to_owned())
        } else {
            let problem = message.to_owned();
            return Self {
                path,
                place,
                problem,
            };
        };
        // serde reports these at the section, and the field itself is the better name.
        let path = path.map_or_else(|| field.to_owned(), |section| format!("{section}.{field}"));
        Self {
            path: Some(path),
            place,
            problem,
        }
    }
}

/// The path up to where reading lost track (a syntax error, in the middle of a key); `None` for the document.
fn known_part(path: &Path) -> Option<String> {
    let mut known = String::new();
    for segment in path {
        match segment {
            Segment::Unknown => break,
            Segment::Seq { .. } => {}
            _ if known.is_empty() => {}
            _ => known.push('.'),
        }
        known.push_str(&segment.to_string());
    }
    Some(known).filter(|path| !path.is_empty())
}

fn quoted_after<'a>(what: &str, message: &'a str) -> Option<&'a str> {
    message
        .strip_prefix(what)?
        .strip_prefix('`')?
        .strip_suffix('`')
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
