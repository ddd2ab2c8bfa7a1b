//! Members, elements, types and values.

use serde_json::{Value, json};

use super::{check_both, object};

#[test]
fn members() {
    let text = json!({"type": "string"});
    let one = object(&["a"], json!({"a": text}));
    let optional = object(&[], json!({"a": text}));
    let two = object(&["a", "b"], json!({"a": text, "b": text}));
    let more = object(&["a"], json!({"a": text, "b": text}));
    check_both(
        &one,
        &two,
        &["breaking: request /b: new required member"],
        &[],
    );
    check_both(
        &two,
        &one,
        &["note: request /b: member is no longer described"],
        &["breaking: reply /b: member is gone"],
    );
    check_both(&one, &more, &[], &[]);
    check_both(
        &more,
        &one,
        &["note: request /b: member is no longer described"],
        &["note: reply /b: optional member is gone"],
    );
    check_both(
        &one,
        &optional,
        &[],
        &["breaking: reply /a: required → optional"],
    );
    check_both(
        &optional,
        &one,
        &["breaking: request /a: optional → required"],
        &[],
    );

    // Objects that do not accept other members.
    let closed = |mut schema: Value| {
        schema["additionalProperties"] = json!(false);
        schema
    };
    check_both(
        &closed(more.clone()),
        &closed(one.clone()),
        &["breaking: request /b: member is no longer accepted"],
        &["note: reply /b: optional member is gone"],
    );
    check_both(
        &closed(one.clone()),
        &closed(more),
        &[],
        &["note: reply /b: new member of an object that allowed no other members"],
    );
    check_both(
        &one,
        &closed(one.clone()),
        &["breaking: request /*: other members are no longer accepted"],
        &[],
    );
    check_both(
        &closed(one.clone()),
        &one,
        &[],
        &["note: reply /*: other members are possible now"],
    );

    // Maps.
    let map = |values: &str| json!({"type": "object", "additionalProperties": {"type": values}});
    check_both(
        &closed(json!({"type": "object"})),
        &map("integer"),
        &[],
        &["note: reply /*: other members are possible now"],
    );
    check_both(
        &map("integer"),
        &map("number"),
        &[],
        &["breaking: reply /*: type integer → number"],
    );
    check_both(
        &map("number"),
        &one,
        &[
            "breaking: request /a: new required member",
            "breaking: request /a: type number → string",
        ],
        &[
            "breaking: reply /a: type number → string",
            "breaking: reply /*: type number → any",
        ],
    );
    // A name with the characters of pointers.
    let odd = |kind: &str| object(&[], json!({"a/b~c": {"type": kind}}));
    check_both(
        &odd("string"),
        &odd("null"),
        &["breaking: request /a~1b~0c: type string → null"],
        &["breaking: reply /a~1b~0c: type string → null"],
    );
}

#[test]
fn types_and_values() {
    let schema = |kind: &str| json!({"type": kind});
    let nullable = json!({"type": ["string", "null"]});
    let any_of = json!({"anyOf": [{"type": "string"}, {"type": "null"}]});
    check_both(
        &schema("string"),
        &nullable,
        &[],
        &["breaking: reply: type string → null or string"],
    );
    check_both(
        &any_of,
        &schema("string"),
        &["breaking: request: type null or string → string"],
        &[],
    );
    check_both(&nullable, &any_of, &[], &[]);
    check_both(
        &schema("integer"),
        &schema("number"),
        &[],
        &["breaking: reply: type integer → number"],
    );
    for any in [json!({}), json!(true), json!({"description": "x"})] {
        check_both(
            &schema("string"),
            &any,
            &[],
            &["breaking: reply: type string → any"],
        );
        check_both(
            &any,
            &schema("string"),
            &["breaking: request: type any → string"],
            &[],
        );
        check_both(&any, &json!({}), &[], &[]);
    }
    check_both(
        &schema("string"),
        &json!(false),
        &["breaking: request: type string → nothing"],
        &[],
    );

    let values = |values: &[&str]| json!({"type": "string", "enum": values});
    check_both(
        &values(&["a", "b"]),
        &values(&["a"]),
        &["breaking: request: \"b\" is no longer accepted"],
        &[],
    );
    check_both(
        &values(&["a"]),
        &values(&["a", "b"]),
        &[],
        &["note: reply: new value \"b\""],
    );
    check_both(
        &values(&["a"]),
        &schema("string"),
        &[],
        &["breaking: reply: only \"a\" → any string"],
    );
    check_both(
        &schema("string"),
        &json!({"const": "a"}),
        &["breaking: request: any string → only \"a\""],
        &[],
    );
    check_both(
        &values(&["a", "b"]),
        &values(&["a", "c"]),
        &["breaking: request: \"b\" is no longer accepted"],
        &["breaking: reply: \"b\" → \"c\""],
    );
    // Variants with descriptions are a list of constants.
    let constants = json!({"oneOf": [
        {"type": "string", "const": "a", "description": "the first"},
        {"type": "string", "const": "b"},
    ]});
    check_both(&values(&["b", "a"]), &constants, &[], &[]);
    check_both(
        &constants,
        &values(&["a"]),
        &["breaking: request: \"b\" is no longer accepted"],
        &[],
    );
    check_both(
        &json!({"const": 1}),
        &json!({"const": "1"}),
        &["breaking: request: type number → string"],
        &["breaking: reply: type number → string"],
    );
}

#[test]
fn arrays() {
    let list = |items: Value| json!({"type": "array", "items": items});
    check_both(
        &list(json!({"type": "string"})),
        &list(json!({"type": ["string", "null"]})),
        &[],
        &["breaking: reply /*: type string → null or string"],
    );
    let tuple = |kinds: &[&str]| {
        let items: Vec<_> = kinds.iter().map(|kind| json!({"type": kind})).collect();
        json!({"type": "array", "prefixItems": items, "minItems": kinds.len(), "maxItems": kinds.len()})
    };
    check_both(
        &tuple(&["string", "integer"]),
        &tuple(&["string", "boolean"]),
        &["breaking: request /1: type integer → boolean"],
        &["breaking: reply /1: type integer → boolean"],
    );
    check_both(
        &tuple(&["string"]),
        &tuple(&["string", "string"]),
        &["breaking: request: minItems 1 → minItems 2"],
        &[
            "breaking: reply /1: type any → string",
            "breaking: reply: maxItems 1 → maxItems 2",
        ][1..],
    );
}
