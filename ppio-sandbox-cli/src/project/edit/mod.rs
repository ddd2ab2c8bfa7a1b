//! Changes values of agent.yaml and leaves every other line as its author wrote it.

use std::str::FromStr as _;

use serde_yaml::Value;
use yaml_edit::{Mapping, ScalarStyle, ScalarValue, YamlFile};

/// Windows editors put it at the start of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// One value to be set; the sections that lead to it are made where they are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) path: &'static [&'static str],
    pub(crate) value: Scalar,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scalar {
    Text(String),
    Number(u32),
}

/// Why a file cannot be changed without touching more than was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    /// It cannot be read at all.
    #[error("the file is not YAML: {0}")]
    Unreadable(#[source] serde_yaml::Error),
    /// Anchors, tags, sections that are lists: the text would come to mean something else.
    #[error("the way the file is written does not allow to set `{path}` alone")]
    Entangled { path: String },
}

impl Change {
    pub(crate) fn text(path: &'static [&'static str], value: impl Into<String>) -> Self {
        Self {
            path,
            value: Scalar::Text(value.into()),
        }
    }

    fn dotted(&self) -> String {
        self.path.join(".")
    }
}

/// Makes the changes one after another. What comes out was read again and says exactly what it should.
pub(crate) fn apply(text: &str, changes: &[Change]) -> Result<String, EditError> {
    changes
        .iter()
        .try_fold(text.to_owned(), |text, change| apply_one(&text, change))
}

/// Takes away a key and all that is under it, and a section that would be left empty with it. A text without the key
/// stays as it is.
pub(crate) fn remove(text: &str, path: &[&str]) -> Result<String, EditError> {
    let before = read(text).map_err(EditError::Unreadable)?;
    let parts = |path: &[&str]| {
        let value = path.iter().try_fold(&before, |value, key| value.get(key));
        value.map(|value| value.as_mapping().map_or(0, serde_yaml::Mapping::len))
    };
    if parts(path).is_none() {
        return Ok(text.to_owned());
    }
    // The outermost section that holds nothing else.
    let emptied = (1..path.len())
        .find(|&depth| (depth..path.len()).all(|depth| parts(&path[..depth]) == Some(1)))
        .and_then(|depth| remove_one(text, &before, &path[..depth]).ok());
    match emptied {
        Some(after) => Ok(after),
        // A comment keeps the section that it stands in.
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
            let says_it = read(after).is_ok_and(|after| after == wanted);
            says_it && comments(text) == comments(after)
        })
        .ok_or_else(|| EditError::Entangled {
            path: path.join("."),
        })
}

/// Whether it is YAML at all, whatever it says.
pub(crate) fn is_readable(text: &str) -> bool {
    read(text).is_ok()
}

/// The text or number at a path, as text; `None` where there is nothing, or nothing of that kind.
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

/// A text as agent.yaml holds it: with quotes where it needs them.
pub(crate) fn scalar(text: &str) -> String {
    written(&Scalar::Text(text.to_owned())).to_yaml_string()
}

fn apply_one(text: &str, change: &Change) -> Result<String, EditError> {
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
        // Nothing but comments and blank lines: there is no place in a tree yet.
        appended(body, change)
    } else {
        edited(body, change).ok_or_else(entangled)?
    };
    let after = format!("{mark}{body}");
    // The editor is trusted with the text, never with its meaning.
    let says_it = read(&after).is_ok_and(|after| after == wanted);
    if says_it && comments(text) == comments(&after) {
        Ok(after)
    } else {
        Err(entangled())
    }
}

fn read(text: &str) -> Result<Value, serde_yaml::Error> {
    serde_yaml::from_str(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
}

/// What the document should say afterwards; `None` if a section on the way is something else.
fn with(mut document: Value, change: &Change) -> Option<Value> {
    let mut place = &mut document;
    for key in change.path {
        if place.is_null() {
            *place = Value::Mapping(serde_yaml::Mapping::new());
        }
        place = place
            .as_mapping_mut()?
            .entry((*key).into())
            .or_insert(Value::Null);
    }
    *place = match &change.value {
        Scalar::Text(text) => text.as_str().into(),
        Scalar::Number(number) => (*number).into(),
    };
    Some(document)
}

/// What the document should say once the key is gone.
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

fn edited(text: &str, change: &Change) -> Option<String> {
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

/// `last: value` inside the sections that lead to it.
fn nested(sections: &[&str], last: &str, value: ScalarValue) -> Mapping {
    let innermost = Mapping::new();
    innermost.set(last, value);
    sections.iter().rev().fold(innermost, |inner, key| {
        let outer = Mapping::new();
        outer.set(*key, inner);
        outer
    })
}

fn appended(text: &str, change: &Change) -> String {
    let newline = newline(text);
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(newline);
    }
    for (depth, key) in change.path.iter().enumerate() {
        let indent = "  ".repeat(depth);
        text.extend([&indent, *key, ":"]);
        if depth + 1 == change.path.len() {
            text.extend([" ", &written(&change.value).to_yaml_string()]);
        }
        text.push_str(newline);
    }
    text
}

fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// Plain where no reader of any YAML version can take it for something else, in double quotes otherwise: to YAML 1.1
/// `2024-01-15T10:30:00Z` is a time, `1.10` a number and `no` a falsehood.
fn written(value: &Scalar) -> ScalarValue {
    match value {
        Scalar::Number(number) => ScalarValue::from(i64::from(*number)),
        Scalar::Text(text) if is_plain(text) => {
            ScalarValue::with_style(text.as_str(), ScalarStyle::Plain)
        }
        Scalar::Text(text) => ScalarValue::with_style(text.as_str(), ScalarStyle::DoubleQuoted),
    }
}

fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_./@+".contains(&byte))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// The editor's own reading, in which a `#` inside quotes is no comment.
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
