//! Writes a document in block style.
//!
//! The YAML library decides by YAML 1.2 which strings need quotes, but readers of YAML 1.1 would
//! read `no` or a date as another type. Keys and numbers have the same problem.

use serde_yaml::{Mapping, Number, Value};

use crate::yaml::scalar;

/// The longest key that is written as `key: value`, in bytes; readers accept 1024 characters.
const MAX_SIMPLE_KEY: usize = 128;

/// Writes a document, which ends with a line break.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    block(&mut text, value, 0);
    text
}

/// Writes a value that begins on a line of its own.
fn block(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Mapping(mapping) if !mapping.is_empty() => entries(text, mapping, depth),
        Value::Sequence(sequence) if !sequence.is_empty() => items(text, sequence, depth),
        leaf => {
            text.push_str(&inline(leaf));
            text.push('\n');
        }
    }
}

fn entries(text: &mut String, mapping: &Mapping, depth: usize) {
    for (key, value) in mapping {
        let key = inline(key);
        indent(text, depth);
        if key.len() > MAX_SIMPLE_KEY {
            text.extend(["? ", &key, "\n"]);
            indent(text, depth);
        } else {
            text.push_str(&key);
        }
        text.push(':');
        text.push(if is_block(value) { '\n' } else { ' ' });
        block(text, value, depth + 1);
    }
}

fn items(text: &mut String, sequence: &[Value], depth: usize) {
    for item in sequence {
        let mut nested = String::new();
        block(&mut nested, item, depth + 1);
        indent(text, depth);
        text.push_str("- ");
        // The first line begins on the line of the dash, which is as wide as a level.
        text.push_str(nested.trim_start_matches(' '));
    }
}

fn indent(text: &mut String, depth: usize) {
    text.push_str(&"  ".repeat(depth));
}

/// Whether a value is written on lines of its own.
fn is_block(value: &Value) -> bool {
    match value {
        Value::Mapping(mapping) => !mapping.is_empty(),
        Value::Sequence(sequence) => !sequence.is_empty(),
        Value::Tagged(tagged) => is_block(&tagged.value),
        _ => false,
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => number(value),
        Value::String(text) => scalar(text),
        Value::Sequence(_) => "[]".to_owned(),
        Value::Mapping(_) => "{}".to_owned(),
        // JSON has no tags, so the documents of this crate have none.
        Value::Tagged(tagged) => inline(&tagged.value),
    }
}

/// Writes a number for readers of YAML 1.1, which read an exponent only after a decimal point and
/// with a sign: `1e300` is a string.
fn number(number: &Number) -> String {
    let text = number.to_string();
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let point = if mantissa.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            format!("{mantissa}{point}e{sign}{exponent}")
        }
        None => text,
    }
}
