//! Limits, and what cannot be decided.

use serde_json::{Value, json};

use super::{check_both, object};

/// A type, the keywords of a schema and of a stricter one, and the change from one to the other.
#[rustfmt::skip]
const LIMITS: [(&str, &str, &str, &str); 14] = [
    ("integer", "minimum: 0", "minimum: 1", "minimum 0 → minimum 1"),
    ("integer", "", "exclusiveMaximum: 5", "no limit → exclusiveMaximum 5"),
    ("number", "minimum: 0", "exclusiveMinimum: 0", "minimum 0 → exclusiveMinimum 0"),
    ("integer", "format: uint32", "format: uint8", "format uint32 → format uint8"),
    ("integer", "format: uint64", "format: uint32", "format uint64 → format uint32"),
    ("integer", "format: int64", "format: uint64, maximum: 9", "format int64 → format uint64"),
    ("string", "", "minLength: 1", "no limit → minLength 1"),
    ("string", "maxLength: 9", "maxLength: 8", "maxLength 9 → maxLength 8"),
    ("array", "", "maxItems: 2", "no limit → maxItems 2"),
    ("object", "", "minProperties: 1", "no limit → minProperties 1"),
    ("string", "", "format: uuid", "no format → format \"uuid\""),
    ("string", "", "pattern: ^a", "no pattern → pattern \"^a\""),
    ("integer", "", "multipleOf: 2", "no multipleOf → multipleOf 2"),
    ("array", "", "uniqueItems: true", "no uniqueItems → uniqueItems true"),
];

#[test]
fn limits() {
    for (kind, loose, strict, text) in LIMITS {
        let schema = |keywords: &str| -> Value {
            let yaml = format!("{{type: {kind}, {keywords}}}");
            serde_yaml::from_str(&yaml).expect("a schema")
        };
        let (loose, strict) = (schema(loose), schema(strict));
        let (old, new) = text.split_once(" → ").expect("two");
        let mut narrowed = vec![format!("breaking: request: {text}")];
        let mut widened = vec![format!("breaking: reply: {new} → {old}")];
        if strict.get("format") == Some(&json!("uint64")) {
            narrowed.push("breaking: request: format int64 → maximum 9".to_owned());
            widened.push("breaking: reply: maximum 9 → format int64".to_owned());
        }
        let narrowed: Vec<_> = narrowed.iter().map(String::as_str).collect();
        let widened: Vec<_> = widened.iter().map(String::as_str).collect();
        check_both(&loose, &strict, &narrowed, &[]);
        check_both(&strict, &loose, &[], &widened);
    }
    for (old, new) in [
        (
            json!({"type": "integer", "minimum": 1}),
            json!({"type": "integer", "exclusiveMinimum": 0}),
        ),
        (
            json!({"type": "string"}),
            json!({"type": "string", "minLength": 0}),
        ),
        (
            json!({"type": "number", "format": "float"}),
            json!({"type": "number", "format": "double"}),
        ),
        (
            json!({"type": "array"}),
            json!({"type": "array", "uniqueItems": false}),
        ),
        (
            json!({"type": "string", "title": "a"}),
            json!({"type": "string", "default": "b", "x-c": 1}),
        ),
    ] {
        check_both(&old, &new, &[], &[]);
        check_both(&new, &old, &[], &[]);
    }
    let format = |name: &str| json!({"type": "string", "format": name});
    let changed = "format \"uuid\" → format \"date\"";
    check_both(
        &format("uuid"),
        &format("date"),
        &[&format!("breaking: request: {changed}")],
        &[&format!("breaking: reply: {changed}")],
    );
}

#[test]
fn what_cannot_be_decided_is_not_compared() {
    let text = |keyword: &str, value: &Value| json!({"type": "string", keyword: value});
    for (keyword, old, new) in [
        ("pattern", json!("^a"), json!("^b")),
        ("not", json!({"const": "a"}), json!({"const": "b"})),
        ("contentMediaType", json!("a/b"), json!("b/c")),
        ("if", json!({"minLength": 1}), json!({"minLength": 2})),
        ("dialect-of-its-own", json!(1), json!(2)),
    ] {
        let changed = format!("`{keyword}` changed, not compared");
        let (request, reply) = (
            format!("not compared: request: {changed}"),
            format!("not compared: reply: {changed}"),
        );
        check_both(
            &text(keyword, &old),
            &text(keyword, &new),
            &[&request],
            &[&reply],
        );
        check_both(&text(keyword, &old), &text(keyword, &old), &[], &[]);
        if keyword != "pattern" {
            check_both(
                &text(keyword, &old),
                &json!({"type": "string"}),
                &[&request],
                &[&reply],
            );
        }
    }
    // A member is not an annotation, whatever its name.
    let named =
        |kind: &str| json!({"type": "object", "dependentSchemas": {"title": {"type": kind}}});
    check_both(
        &named("object"),
        &named("null"),
        &["not compared: request: `dependentSchemas` changed, not compared"],
        &["not compared: reply: `dependentSchemas` changed, not compared"],
    );
    let constant = |value: Value| json!({"type": "array", "const": value});
    check_both(
        &constant(json!([1])),
        &constant(json!([2])),
        &["not compared: request: `enum` changed, not compared"],
        &["not compared: reply: `enum` changed, not compared"],
    );
    // Nothing distinguishes these alternatives.
    let either = |kinds: [&str; 2]| {
        let alternatives = kinds.map(|kind| object(&["a"], json!({"a": {"type": kind}})));
        json!({"anyOf": alternatives})
    };
    check_both(
        &either(["string", "null"]),
        &either(["null", "string"]),
        &[],
        &[],
    );
    check_both(
        &either(["string", "null"]),
        &either(["string", "boolean"]),
        &["not compared: request: the list of alternatives changed, not compared"],
        &["not compared: reply: the list of alternatives changed, not compared"],
    );
    // References that cannot be resolved.
    let outside = |file: &str| json!({"$ref": file});
    check_both(&outside("a.json"), &outside("a.json"), &[], &[]);
    check_both(
        &outside("a.json"),
        &outside("b.json"),
        &["not compared: request: a schema that cannot be resolved changed, not compared"],
        &["not compared: reply: a schema that cannot be resolved changed, not compared"],
    );
}
