//! Changes values of agent.yaml and leaves every other line as its author wrote it.

use std::str::FromStr as _;

use ppio_agent_protocol::yaml::is_plain;
use serde_yaml::Value;
use yaml_edit::{Mapping, ScalarStyle, ScalarValue, YamlFile, YamlValue};

/// The character that some editors on Windows write at the start of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A value to set. Missing sections on its path are created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) path: &'static [&'static str],
    pub(crate) value: NewValue,
}

/// The value of an [`Edit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NewValue {
    Text(String),
    Number(u32),
    Texts(Vec<String>),
}

/// The reason why a value cannot be changed without changing other lines.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    #[error("the file is not YAML")]
    Unreadable(#[source] serde_yaml::Error),
    /// The file has anchors, tags or lists on the path to the value, or would lose a comment.
    #[error("cannot set `{path}` without changing the meaning of other lines")]
    Entangled { path: String },
}

impl Edit {
    pub(crate) fn text(path: &'static [&'static str], value: impl Into<String>) -> Self {
        Self {
            path,
            value: NewValue::Text(value.into()),
        }
    }

    fn dotted(&self) -> String {
        self.path.join(".")
    }
}

/// Applies the changes in order. The result is parsed again and must have exactly the changed
/// values and all comments.
pub(crate) fn apply(text: &str, changes: &[Edit]) -> Result<String, EditError> {
    changes
        .iter()
        .try_fold(text.to_owned(), |text, change| apply_one(&text, change))
}

/// Removes a key with its values, and the sections that become empty. If these sections have
/// comments, only the key is removed. A text without the key is returned unchanged.
///
/// # Errors
/// If the text is not YAML, or the key cannot be removed without changing other values or losing a
/// comment.
pub(crate) fn remove(text: &str, path: &[&str]) -> Result<String, EditError> {
    let before = read(text).map_err(EditError::Unreadable)?;
    let parts = |path: &[&str]| {
        let value = path.iter().try_fold(&before, |value, key| value.get(key));
        value.map(|value| value.as_mapping().map_or(0, serde_yaml::Mapping::len))
    };
    if parts(path).is_none() {
        return Ok(text.to_owned());
    }
    // The outermost section without other keys.
    let emptied = (1..path.len())
        .find(|&depth| (depth..path.len()).all(|depth| parts(&path[..depth]) == Some(1)))
        .and_then(|depth| remove_one(text, &before, &path[..depth]).ok());
    match emptied {
        Some(after) => Ok(after),
        // The sections with a comment are kept.
        None => remove_one(text, &before, path),
    }
}

fn remove_one(text: &str, before: &Value, path: &[&str]) -> Result<String, EditError> {
    let wanted = without(before.clone(), path);
    let (mark, body) = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(body) => (&text[..BYTE_ORDER_MARK.len_utf8()], body),
        None => ("", text),
    };
    let after = cut(body, path).map(|body| format!("{mark}{body}"));
    after
        .filter(|after| {
            let has_values = read(after).is_ok_and(|after| after == wanted);
            has_values && comments(text) == comments(after)
        })
        .ok_or_else(|| EditError::Entangled {
            path: path.join("."),
        })
}

/// Whether the text is YAML.
pub(crate) fn is_readable(text: &str) -> bool {
    read(text).is_ok()
}

/// Returns the string or number at a path, as text; `None` if there is no value or the value is of
/// another kind.
pub(crate) fn value_at(text: &str, path: &[&str]) -> Option<String> {
    let document = read(text).ok()?;
    let value = path
        .iter()
        .try_fold(&document, |value, key| value.get(key))?;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn apply_one(text: &str, change: &Edit) -> Result<String, EditError> {
    let before = read(text).map_err(EditError::Unreadable)?;
    let entangled = || EditError::Entangled {
        path: change.dotted(),
    };
    let wanted = with(before.clone(), change).ok_or_else(entangled)?;
    if wanted == before {
        return Ok(text.to_owned());
    }
    let (mark, body) = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(body) => (&text[..BYTE_ORDER_MARK.len_utf8()], body),
        None => ("", text),
    };
    let body = if before.is_null() && !body.contains("---") {
        // The text has only comments and blank lines, so there is no tree to edit.
        appended(body, change)
    } else {
        edited(body, change).ok_or_else(entangled)?
    };
    let after = format!("{mark}{body}");
    // Checks the result of the YAML editor.
    let has_values = read(&after).is_ok_and(|after| after == wanted);
    if has_values && comments(text) == comments(&after) {
        Ok(after)
    } else {
        Err(entangled())
    }
}

fn read(text: &str) -> Result<Value, serde_yaml::Error> {
    serde_yaml::from_str(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
}

/// Returns the document with the change; `None` if a section on the path is not a mapping.
fn with(mut document: Value, change: &Edit) -> Option<Value> {
    let mut value = &mut document;
    for key in change.path {
        if value.is_null() {
            *value = Value::Mapping(serde_yaml::Mapping::new());
        }
        value = value
            .as_mapping_mut()?
            .entry((*key).into())
            .or_insert(Value::Null);
    }
    *value = match &change.value {
        NewValue::Text(text) => text.as_str().into(),
        NewValue::Number(number) => (*number).into(),
        NewValue::Texts(texts) => texts.iter().map(String::as_str).collect(),
    };
    Some(document)
}

/// Returns the document without the key.
fn without(mut document: Value, path: &[&str]) -> Value {
    if let Some((last, sections)) = path.split_last() {
        let section = sections
            .iter()
            .try_fold(&mut document, |section, key| section.get_mut(*key));
        if let Some(section) = section.and_then(Value::as_mapping_mut) {
            section.remove(*last);
        }
    }
    document
}

fn cut(text: &str, path: &[&str]) -> Option<String> {
    let file = YamlFile::from_str(text).ok()?;
    let document = file.document()?;
    let (last, sections) = path.split_last()?;
    match sections.split_first() {
        None => drop(document.remove(*last)?),
        Some((first, deeper)) => {
            let mut section = document.get_mapping(*first)?;
            for key in deeper {
                section = section.get_mapping(*key)?;
            }
            section.remove(*last)?;
        }
    }
    Some(file.to_string())
}

fn edited(text: &str, change: &Edit) -> Option<String> {
    let file = YamlFile::from_str(text).ok()?;
    let document = file.document()?;
    let (last, sections) = change.path.split_last()?;
    let value = written(&change.value);
    let Some((first, deeper)) = sections.split_first() else {
        document.set(*last, value);
        return Some(file.to_string());
    };
    let Some(mut section) = document.get_mapping(*first) else {
        document.set(*first, nested(deeper, last, value));
        return Some(file.to_string());
    };
    for (depth, key) in deeper.iter().enumerate() {
        let Some(inner) = section.get_mapping(*key) else {
            section.set(*key, nested(&deeper[depth + 1..], last, value));
            return Some(file.to_string());
        };
        section = inner;
    }
    section.set(*last, value);
    Some(file.to_string())
}

/// Returns `last: value` inside nested sections.
fn nested(sections: &[&str], last: &str, value: YamlValue) -> Mapping {
    let innermost = Mapping::new();
    innermost.set(last, value);
    sections.iter().rev().fold(innermost, |inner, key| {
        let outer = Mapping::new();
        outer.set(*key, inner);
        outer
    })
}

fn appended(text: &str, change: &Edit) -> String {
    let newline = newline(text);
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(newline);
    }
    for (depth, key) in change.path.iter().enumerate() {
        let indent = "  ".repeat(depth);
        text.extend([&indent, *key, ":"]);
        if depth + 1 == change.path.len() {
            text.extend([" ", &line_of(&change.value)]);
        }
        text.push_str(newline);
    }
    text
}

fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn written(value: &NewValue) -> YamlValue {
    match value {
        NewValue::Number(number) => YamlValue::Scalar(ScalarValue::from(i64::from(*number))),
        NewValue::Text(text) => YamlValue::Scalar(written_text(text)),
        NewValue::Texts(texts) => {
            let texts = texts.iter().map(|text| written_text(text));
            YamlValue::Sequence(texts.map(YamlValue::Scalar).collect())
        }
    }
}

/// Returns the text as a scalar: plain if every YAML version reads it as a string, else in double
/// quotes.
fn written_text(text: &str) -> ScalarValue {
    let style = if is_plain(text) {
        ScalarStyle::Plain
    } else {
        ScalarStyle::DoubleQuoted
    };
    ScalarValue::with_style(text, style)
}

/// Formats a value on one line.
fn line_of(value: &NewValue) -> String {
    match value {
        NewValue::Number(number) => number.to_string(),
        NewValue::Text(text) => written_text(text).to_yaml_string(),
        NewValue::Texts(texts) => {
            let quoted = |text: &String| {
                ScalarValue::with_style(text.as_str(), ScalarStyle::DoubleQuoted).to_yaml_string()
            };
            format!(
                "[{}]",
                texts.iter().map(quoted).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

/// Returns the comments, as the YAML editor finds them: a `#` inside quotes does not begin one.
fn comments(text: &str) -> Option<Vec<String>> {
    let file = YamlFile::from_str(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)).ok()?;
    let comments = file.comments();
    Some(
        comments
            .map(|comment| comment.text().trim_end().to_owned())
            .collect(),
    )
}

#[cfg(test)]
mod tests;
