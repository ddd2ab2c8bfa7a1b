//! Explains why a JSON body does not fit the request type, and where.
//!
//! serde reads tagged, untagged and flattened types into a buffer before it reads their fields, and
//! the errors of that buffer have no path. Their texts name the value, the field or the variant at
//! fault. The body is therefore searched for the places that such a text can refer to. If there are
//! several, the value at each is replaced in turn; the place at fault is the one where this changes
//! the error.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use crate::exchange::rejection::Rejection;

/// The maximum number of places that are tried; each takes one deserialization of the body.
const MAX_PLACES: usize = 32;
/// The maximum size of a body that is searched for places, in bytes.
const MAX_SIZE: usize = 64 * 1024;

/// Returns the rejection of a text that is JSON but not a `T`; `error` is the reason.
pub(super) fn explain<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> Rejection {
    // If the text is parsed, a number or an enum of another type is a syntax error; if a `Value` is
    // deserialized, the error names the type that was found.
    let from_value = (error.classify() == Category::Syntax)
        .then(|| serde_json::from_str::<Value>(text).ok())
        .flatten()
        .and_then(|value| serde_path_to_error::deserialize::<_, T>(value).err());
    let from_text = || {
        let mut reader = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize::<_, T>(&mut reader).err()
    };
    match from_value.or_else(from_text) {
        Some(error) => {
            let reason = reason(error.inner());
            let place = place::<T>(text, error.path(), &reason);
            Rejection::DoesNotFit { reason, place }
        }
        // `T` fits the beginning of the body, and the rest does not fit.
        None => Rejection::DoesNotFit {
            reason: reason(error),
            place: String::new(),
        },
    }
}

/// Returns the text of an error without the position at its end, which the rejection writes in
/// another form.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&position) {
        Some(reason) => reason.to_owned(),
        None => text,
    }
}

/// Returns the place of an error, to be appended to its text; empty if the place is unknown.
fn place<T: DeserializeOwned>(text: &str, path: &Path, reason: &str) -> String {
    let found = (text.len() <= MAX_SIZE)
        .then(|| serde_json::from_str(text).ok())
        .flatten()
        .and_then(|body| find_place::<T>(&body, path, reason));
    // The place begins with the path; if no place is found, only the path is known.
    match found
        .map_or_else(|| path.to_string(), |place| place.path)
        .as_str()
    {
        "" => " (at the top)".to_owned(),
        "." => String::new(),
        place => format!(" (at `{place}`)"),
    }
}

/// A place in the body.
#[derive(Debug, Clone, Default, PartialEq)]
struct MismatchPlace {
    /// The path as in the error text: `items[1].count`.
    path: String,
    /// The argument of `Value::pointer`: `/items/1/count`.
    pointer: String,
}

impl MismatchPlace {
    fn key(&self, key: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self {
            path: format!("{}{dot}{key}", self.path),
            pointer: format!(
                "{}/{}",
                self.pointer,
                key.replace('~', "~0").replace('/', "~1")
            ),
        }
    }

    fn index(&self, index: usize) -> Self {
        Self {
            path: format!("{}[{index}]", self.path),
            pointer: format!("{}/{index}", self.pointer),
        }
    }
}

fn find_place<T: DeserializeOwned>(
    body: &Value,
    path: &Path,
    reason: &str,
) -> Option<MismatchPlace> {
    let start = follow(body, path)?;
    let mut places = Vec::new();
    collect(body.pointer(&start.pointer)?, &start, reason, &mut places);
    match &places[..] {
        [only] => Some(only.clone()),
        several if several.len() <= MAX_PLACES => {
            let unchanged = T::deserialize(body).err()?.to_string();
            let is_place = |place: &&MismatchPlace| {
                let Some(changed) = changed(body, place, reason) else {
                    return false;
                };
                T::deserialize(&changed).map_or_else(
                    |error| {
                        let error = error.to_string();
                        error != unchanged && !is_another_mismatch(&error, reason)
                    },
                    |_| true,
                )
            };
            several.iter().find(is_place).cloned()
        }
        _ => None,
    }
}

/// Follows a path of the deserializer in the body, up to a segment that is unknown. Returns `None`
/// if the body has no such place.
fn follow(body: &Value, path: &Path) -> Option<MismatchPlace> {
    let mut place = MismatchPlace::default();
    for segment in path {
        place = match segment {
            Segment::Seq { index } => place.index(*index),
            Segment::Map { key } => place.key(key),
            Segment::Enum { variant } => place.key(variant),
            Segment::Unknown => return Some(place),
        };
        body.pointer(&place.pointer)?;
    }
    Some(place)
}

/// Collects the places that an error text can refer to, parents first.
fn collect(value: &Value, place: &MismatchPlace, reason: &str, places: &mut Vec<MismatchPlace>) {
    if places.len() > MAX_PLACES {
        return;
    }
    if may_refer_to(value, reason) {
        places.push(place.clone());
    }
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let child = place.key(key);
                if reason.starts_with(&format!("unknown field `{key}`, ")) {
                    places.push(child.clone());
                }
                collect(value, &child, reason, places);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                collect(value, &place.index(index), reason, places);
            }
        }
        _ => {}
    }
}

/// Whether an error text of serde can refer to a value.
fn may_refer_to(value: &Value, reason: &str) -> bool {
    if let Some(field) = missing_field(reason) {
        return value.as_object().is_some_and(|it| !it.contains_key(field));
    }
    if let Some(length) = reason.strip_prefix("invalid length ") {
        let actual = match value {
            Value::Array(items) => items.len(),
            Value::Object(fields) => fields.len(),
            _ => return false,
        };
        return length.starts_with(&format!("{actual}, expected"));
    }
    if let Some(variant) = reason.strip_prefix("unknown variant `") {
        let name = match value {
            Value::String(name) => Some(name),
            Value::Object(fields) if fields.len() == 1 => fields.keys().next(),
            _ => None,
        };
        return name.is_some_and(|name| variant.starts_with(&format!("{name}`, ")));
    }
    let unexpected = reason
        .strip_prefix("invalid type: ")
        .or_else(|| reason.strip_prefix("invalid value: "));
    unexpected
        .and_then(|text| text.strip_prefix(&*as_unexpected(value)))
        .is_some_and(|rest| rest.starts_with(", expected "))
}

fn missing_field(reason: &str) -> Option<&str> {
    reason.strip_prefix("missing field `")?.strip_suffix('`')
}

/// Returns the name of a value in serde's errors.
fn as_unexpected(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("boolean `{value}`"),
        Value::Number(number) if number.is_f64() => format!("floating point `{number}`"),
        Value::Number(number) => format!("integer `{number}`"),
        Value::String(text) => format!("string {text:?}"),
        Value::Array(_) => "sequence".to_owned(),
        Value::Object(_) => "map".to_owned(),
    }
}

/// Returns the body with another value at a place.
fn changed(body: &Value, place: &MismatchPlace, reason: &str) -> Option<Value> {
    let mut body = body.clone();
    let value = body.pointer_mut(&place.pointer)?;
    match (missing_field(reason), &mut *value) {
        (Some(field), Value::Object(fields)) => {
            fields.insert(field.to_owned(), Value::Null);
        }
        (_, Value::Null) => *value = Value::Array(Vec::new()),
        _ => *value = Value::Null,
    }
    Some(body)
}

/// Whether an error is about the `null` of a changed body, and expects another type than the error
/// that is explained.
fn is_another_mismatch(error: &str, reason: &str) -> bool {
    let expected = reason
        .starts_with("invalid ")
        .then(|| reason.rsplit_once(", expected "))
        .flatten();
    let found = error.strip_prefix("invalid type: null, expected ");
    // The error of a length names the type, and then the number of elements.
    matches!((expected, found), (Some((_, expected)), Some(found)) if !expected.starts_with(found))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::super::payload::parse;

    #[derive(Debug, Deserialize)]
    #[serde(tag = "do", rename_all = "snake_case")]
    #[expect(dead_code, reason = "only the types matter")]
    enum Step {
        Wait { seconds: u32, note: String },
        Say { to: Person, also: Vec<Person> },
        Stop,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the types matter")]
    struct Person {
        name: String,
        age: u8,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the types matter")]
    struct Flat {
        title: String,
        #[serde(flatten)]
        person: Person,
        #[serde(flatten)]
        others: HashMap<String, u32>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the types matter")]
    struct Plan {
        steps: Vec<Step>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the types matter")]
    struct Numbers {
        big: u128,
        real: f64,
        text: String,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the types matter")]
    enum Shape {
        Circle(f64),
        Pair(u8, u8),
        None,
    }

    #[track_caller]
    fn assert_422<T: serde::de::DeserializeOwned>(body: &str, end: &str) {
        let Err(error) = parse::<T>(body.as_bytes()) else {
            panic!("{body} fits")
        };
        assert_eq!(error.status(), 422, "{body}: {error}");
        assert!(error.message().ends_with(end), "{body}: {error}");
    }

    #[test]
    fn json_of_another_type_is_a_422() {
        let numbers = |big: &str, real: &str, text: &str| {
            format!(r#"{{"big":{big},"real":{real},"text":{text}}}"#)
        };
        for (body, end) in [
            (numbers("1.0", "1", "\"\""), "expected u128 (at `big`)"),
            (numbers("1e2", "1", "\"\""), "expected u128 (at `big`)"),
            (numbers("-1", "1", "\"\""), "expected u128 (at `big`)"),
            (numbers(&"9".repeat(40), "1", "\"\""), "(at `big`)"),
            (
                numbers("1", "1e400", "\"\""),
                "number out of range (at `real`)",
            ),
            (numbers("1", "1", r#""\ud800""#), "(at `text`)"),
            (numbers("1", "1", r#""\udc00x""#), "(at `text`)"),
        ] {
            assert_422::<Numbers>(&body, end);
        }
        assert_422::<u128>("1.5", "expected u128 (at the top)");
        assert_422::<serde_json::Value>(r#"{"a":[1e400]}"#, "number out of range (at `a[0]`)");
        assert_422::<serde_json::Value>(r#"{"a":"\ud800"}"#, "(at `a`)");
        for (body, end) in [
            ("5", "(at the top)"),
            ("{}", "(at the top)"),
            (r#"{"Circle":1,"Pair":[1,2]}"#, "(at the top)"),
            (r#"{"Pair":[1,2,3]}"#, "(at `Pair`)"),
            (r#"{"Circle":"x"}"#, "(at `Circle`)"),
        ] {
            assert_422::<Shape>(body, end);
        }
        assert_422::<(u8, u8)>("[1,2,3]", "(at the top)");
        for invalid in ["01", "1.", "\"\u{1}\"", r#""\x""#, "[1,]", "1 2", "nul"] {
            let error = parse::<Numbers>(invalid.as_bytes()).unwrap_err();
            assert_eq!(error.status(), 400, "{invalid}: {error}");
        }
    }

    #[test]
    fn a_mismatch_inside_a_tagged_type_has_its_place() {
        for (step, end) in [
            (
                r#"{"do":"wait","seconds":"x","note":"x"}"#,
                "(at `steps[1].seconds`)",
            ),
            (
                r#"{"note":5,"seconds":5,"do":"wait"}"#,
                "(at `steps[1].note`)",
            ),
            (
                r#"{"do":"wait","seconds":-7,"note":""}"#,
                "(at `steps[1].seconds`)",
            ),
            (
                r#"{"do":"wait","seconds":1}"#,
                "field `note` (at `steps[1]`)",
            ),
            (r#"{"do":"run"}"#, "(at `steps[1].do`)"),
            (r#"{"seconds":1}"#, "field `do` (at `steps[1]`)"),
            (
                r#"{"do":"say","to":{"name":"A","age":1},"also":[{"name":"B","age":2},{"name":"C"}]}"#,
                "field `age` (at `steps[1].also[1]`)",
            ),
            (
                r#"{"do":"say","to":{"name":"300","age":300},"also":[]}"#,
                "(at `steps[1].to.age`)",
            ),
            (
                r#"{"do":"say","to":{"name":"A","age":1},"also":[{"name":null,"age":2}]}"#,
                "(at `steps[1].also[0].name`)",
            ),
            (r#"{"do":"say","to":[],"also":[]}"#, "(at `steps[1].to`)"),
        ] {
            let body = format!(r#"{{"steps":[{{"do":"stop"}},{step}]}}"#);
            assert_422::<Plan>(&body, end);
        }
        assert_422::<Step>(
            r#"{"do":"wait","seconds":"x","note":"y"}"#,
            "(at `seconds`)",
        );
        assert_422::<Step>(r#"{"do":"wait"}"#, "missing field `seconds` (at the top)");
    }

    #[test]
    fn a_mismatch_inside_a_flattened_type_has_its_place() {
        for (body, end) in [
            (r#"{"title":"t","name":"n","age":"n"}"#, "(at `age`)"),
            (
                r#"{"title":"t","name":"n"}"#,
                "missing field `age` (at the top)",
            ),
            (
                r#"{"name":"n","age":1}"#,
                "missing field `title` (at the top)",
            ),
            (
                r#"{"title":"t","name":"n","age":1,"a/b~c":"t"}"#,
                "(at `a/b~c`)",
            ),
        ] {
            assert_422::<Flat>(body, end);
        }
    }

    #[test]
    fn an_unknown_place_is_omitted() {
        #[derive(Debug, Deserialize)]
        #[serde(untagged)]
        #[expect(dead_code, reason = "only the types matter")]
        enum Either {
            Number(u8),
            Person(Person),
        }
        assert_422::<Either>(r#"{"name":"n"}"#, "any variant of untagged enum Either");
        let many = format!(r#"{{"do":"wait","seconds":["{}"]}}"#, "x".repeat(70_000));
        assert_422::<Step>(&many, "expected u32");
    }
}
