//! Alternatives, references and combinations.

use std::slice::from_ref;

use serde_json::{Value, json};

use super::{changes, check, check_both, document, object};

/// The schemas that Rust enums have.
#[test]
fn tagged_alternatives() {
    let text = json!({"type": "string"});
    let tagged = |tag: &str, member: &str, kind: &str| {
        object(
            &["type", member],
            json!({"type": {"const": tag}, member: {"type": kind}}),
        )
    };
    let external = |tag: &str, kind: &str| json!({"type": "object", "required": [tag], "properties": {tag: {"type": kind}}, "additionalProperties": false});
    let one_of = |alternatives: &[Value]| json!({"oneOf": alternatives});
    let (a, b) = (tagged("a", "x", "string"), tagged("b", "y", "string"));
    check_both(
        &one_of(from_ref(&a)),
        &one_of(&[b.clone(), a.clone()]),
        &[],
        &["note: reply: new alternative type \"b\""],
    );
    check_both(
        &one_of(&[a.clone(), b.clone()]),
        &one_of(from_ref(&b)),
        &["breaking: request: alternative type \"a\" is no longer accepted"],
        &[],
    );
    check_both(
        &one_of(&[a.clone(), b.clone()]),
        &one_of(&[b.clone(), tagged("a", "x", "integer")]),
        &["breaking: request /x: type string → integer"],
        &["breaking: reply /x: type string → integer"],
    );
    // An alternative that replaces another.
    check_both(
        &one_of(&[a.clone(), b.clone()]),
        &one_of(&[a.clone(), tagged("c", "y", "string")]),
        &["breaking: request: alternative type \"b\" is no longer accepted"],
        &["breaking: reply: alternative type \"b\" → type \"c\""],
    );
    check_both(
        &one_of(&[
            external("A", "string"),
            external("B", "string"),
            text.clone(),
        ]),
        &one_of(&[
            external("B", "integer"),
            external("A", "string"),
            external("C", "null"),
        ]),
        &[
            "breaking: request: type string or object → object",
            "breaking: request /B: type string → integer",
        ],
        &[
            "breaking: reply /B: type string → integer",
            "note: reply: new alternative \"C\"",
        ],
    );
    // An alternative of a new type is a breaking change, not a note.
    check_both(
        &a,
        &one_of(&[a.clone(), text]),
        &[],
        &["breaking: reply: type object → string or object"],
    );
}

#[test]
fn references_and_combinations() {
    let any = json!({});
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let tree = |kind: &str| {
        json!({
            "Tree": object(&["root"], json!({"root": reference("Node")})),
            "Node": object(&["value", "next"], json!({
                "value": {"type": kind},
                "next": {"anyOf": [reference("Node"), {"type": "null"}]},
            })),
        })
    };
    let old = document(&reference("Tree"), &any, &tree("string"));
    check(&old, &old, &[]);
    check(
        &old,
        &document(&reference("Tree"), &any, &tree("integer")),
        &["breaking: request /root/value: type string → integer"],
    );
    // An expression contains itself.
    let expression = |kind: &str| {
        json!({"E": {"oneOf": [
            object(&["not"], json!({"not": reference("E")})),
            {"type": kind},
        ]}})
    };
    let old = document(&any, &reference("E"), &expression("string"));
    check(&old, &old, &[]);
    check(
        &old,
        &document(&any, &reference("E"), &expression("integer")),
        &["breaking: reply: type string or object → integer or object"],
    );
    // An alternative is named by its component. A change is reported where it is found first.
    let described = |kind: &str| {
        json!({
            "Envelope": object(&["result"], json!({"result": reference("Reply")})),
            "Reply": object(&["a"], json!({"a": {"type": kind}})),
        })
    };
    let either = json!({"anyOf": [reference("Envelope"), reference("Reply")]});
    check(
        &document(&any, &either, &described("string")),
        &document(&any, &either, &described("integer")),
        &["breaking: reply /result/a: type string → integer"],
    );
    check(
        &document(&any, &reference("Reply"), &described("string")),
        &document(&any, &either, &described("string")),
        &["note: reply: new alternative Envelope"],
    );
    // The items of a stream, with an error item as the other alternative.
    let items = |kind: &str| {
        json!({
            "Item": object(&["a"], json!({"a": {"type": kind}})),
            "ErrorItem": object(&["error"], json!({"error": {"type": "string"}})),
        })
    };
    let either = json!({"anyOf": [reference("Item"), reference("ErrorItem")]});
    check(
        &document(&any, &either, &items("string")),
        &document(&any, &either, &items("integer")),
        &["breaking: reply /a: type string → integer"],
    );
    let mut split = items("string");
    split["Item"] = json!({"oneOf": [
        object(&["type"], json!({"type": {"const": "x"}})),
        object(&["type"], json!({"type": {"const": "y"}})),
    ]});
    check(
        &document(&any, &either, &items("string")),
        &document(&any, &either, &split),
        &["breaking: reply: alternative Item → type \"x\", type \"y\""],
    );
}

#[test]
fn objects_in_parts() {
    let any = json!({});
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    // An object in two parts.
    let part = |name: &str| object(&[name], json!({name: {"type": "string"}}));
    let whole = object(
        &["a", "b"],
        json!({"a": {"type": "string"}, "b": {"type": "string"}}),
    );
    let parts = json!({"allOf": [part("a"), part("b")]});
    check_both(&whole, &parts, &[], &[]);
    check_both(
        &json!({"allOf": [part("a")]}),
        &parts,
        &["breaking: request /b: new required member"],
        &[],
    );
    // Parts that limit each other's members.
    let mut closed = part("a");
    closed["additionalProperties"] = json!(false);
    let limited = json!({"allOf": [closed, part("b")]});
    check_both(&limited, &limited, &[], &[]);
    assert_ne!(
        changes(
            &document(&limited, &any, &any),
            &document(&parts, &any, &any)
        ),
        [""; 0]
    );
    // A schema that is only a reference to itself.
    let circle = json!({"C": reference("C")});
    let circle = document(&reference("C"), &any, &circle);
    check(&circle, &circle, &[]);
    check(
        &circle,
        &document(&json!({"type": "string"}), &any, &any),
        &["not compared: request: a schema that cannot be resolved changed, not compared"],
    );
}
