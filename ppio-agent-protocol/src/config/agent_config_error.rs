//! The error of a document or of one of its values.

use std::fmt;

use serde_path_to_error::{Path, Segment};

/// The first error of a document that is read, or the error of a value that is set: the field, the
/// position in the text, and what to write instead.
///
/// Displays as `metadata.name (line 4, column 9): "My Agent" holds 'M', use only …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentConfigError {
    path: Option<String>,
    position: Option<LineColumn>,
    problem: String,
    is_missing_field: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LineColumn {
    line: usize,
    column: usize,
}

impl AgentConfigError {
    /// Returns the path of the field, such as `metadata.name`; `None` if the error is not in a
    /// field, as when the text is not JSON or YAML.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Returns the line, from 1; `None` if the document was not read from text.
    pub fn line(&self) -> Option<usize> {
        self.position.map(|position| position.line)
    }

    /// Returns the column, from 1; `None` if the document was not read from text.
    ///
    /// In YAML it is the start of the value (of the section, for a missing or a duplicate field);
    /// in JSON it is where reading stopped.
    pub fn column(&self) -> Option<usize> {
        self.position.map(|position| position.column)
    }

    /// Returns the error and what to write instead, without field and position.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Whether a required field is missing; [`path`](Self::path) returns that field.
    pub fn is_missing_field(&self) -> bool {
        self.is_missing_field
    }

    /// Creates the error of a value that code sets.
    pub(super) fn in_field(path: &str, problem: impl fmt::Display) -> Self {
        Self {
            path: Some(path.to_owned()),
            position: None,
            problem: problem.to_string(),
            is_missing_field: false,
        }
    }

    /// Creates an error from the error text of a format's library. Path and position, which the
    /// text repeats, are removed; texts of serde about missing and duplicate fields get a remedy.
    pub(super) fn new(path: Option<&Path>, line: usize, column: usize, message: &str) -> Self {
        // An empty JSON text ends in column 0.
        let position = (line > 0).then_some(LineColumn {
            line,
            column: column.max(1),
        });
        let path = path.and_then(known_path);
        let message = message
            .strip_suffix(&format!(" at line {line} column {column}"))
            .unwrap_or(message);
        let message = path
            .as_ref()
            .and_then(|path| message.strip_prefix(path.as_str())?.strip_prefix(": "))
            .unwrap_or(message);
        let missing = quoted_after("missing field ", message);
        let (field, problem) = if let Some(field) = missing {
            (
                field,
                format!("the field is missing, add `{}`", example(field)),
            )
        } else if let Some(field) = quoted_after("duplicate field ", message) {
            (field, "duplicate field, remove one of the two".to_owned())
        } else {
            let problem = message.to_owned();
            return Self {
                path,
                position,
                problem,
                is_missing_field: false,
            };
        };
        // serde reports missing and duplicate fields at the section.
        let path = path.map_or_else(|| field.to_owned(), |section| format!("{section}.{field}"));
        Self {
            path: Some(path),
            position,
            problem,
            is_missing_field: missing.is_some(),
        }
    }
}

/// Converts a value that code sets in a field.
pub(super) fn set<V, T>(path: &str, value: V) -> Result<T, AgentConfigError>
where
    V: TryInto<T, Error: fmt::Display>,
{
    value
        .try_into()
        .map_err(|error| AgentConfigError::in_field(path, error))
}

/// Returns the path up to a segment that the format does not define, as after a syntax error in a
/// key; `None` for the document itself.
fn known_path(path: &Path) -> Option<String> {
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

/// Returns the line to write for a required field.
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

impl fmt::Display for AgentConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, self.position) {
            (Some(path), Some(LineColumn { line, column })) => {
                write!(f, "{path} (line {line}, column {column}): ")?;
            }
            (Some(path), None) => write!(f, "{path}: ")?,
            (None, Some(LineColumn { line, column })) => {
                write!(f, "line {line}, column {column}: ")?;
            }
            (None, None) => {}
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for AgentConfigError {}
