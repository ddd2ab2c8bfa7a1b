//! Large documents: those within the limits are compared. For others, the comparison ends and
//! reports what was not compared.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{changes, document};

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Returns a document whose request is the component `S0`.
fn with_components(components: impl IntoIterator<Item = (String, Value)>) -> Value {
    let components: Map<_, _> = components.into_iter().collect();
    document(&reference("S0"), &json!({}), &components.into())
}

/// Returns a document with the components `S0` to `S{count}`, each made from a reference to the
/// next; the last is `last`.
fn chain(count: usize, link: impl Fn(Value) -> Value, last: &Value) -> Value {
    let links = (0..count).map(|at| {
        let next = reference(&format!("S{}", at + 1));
        (format!("S{at}"), link(next))
    });
    with_components(links.chain([(format!("S{count}"), last.clone())]))
}

/// Returns a document whose request is this schema.
fn requesting(schema: &Value) -> Value {
    document(schema, &json!({}), &json!({}))
}

#[test]
fn what_is_too_large_is_not_compared() {
    let (text, number) = (json!({"type": "string"}), json!({"type": "number"}));
    let many = |link: fn(Value) -> Value, count: usize| {
        (chain(count, link, &text), chain(count, link, &number))
    };
    let ring = |length: usize, last: &Value| {
        let mut ring: Vec<_> = (0..length)
            .map(|at| {
                (
                    format!("S{at}"),
                    reference(&format!("S{}", (at + 1) % length)),
                )
            })
            .collect();
        ring[0].1["not"] = last.clone();
        with_components(ring)
    };
    let alternatives = |value: i32| {
        let all = (0..255).map(|at| json!({"type": "object", "minProperties": at, "x": value}));
        json!({"anyOf": all.collect::<Vec<_>>()})
    };
    let nested = |value: i32| {
        chain(
            40,
            |next| {
                json!({"anyOf": [
                    {"type": "object", "required": ["a"], "properties": {"a": next, "b": next}},
                    {"type": "object", "required": ["c"], "properties": {"c": next, "d": next}},
                ]})
            },
            &json!({"minimum": value}),
        )
    };
    for (name, (old, new)) in [
        // 10¹⁴ schemas.
        (
            "combinations",
            many(|next| json!({"allOf": vec![next; 10]}), 14),
        ),
        (
            "alternatives of alternatives",
            many(|next| json!({"anyOf": vec![next; 10]}), 14),
        ),
        // A recursion along this chain would overflow the stack.
        ("a chain", many(|next| next, 50_000)),
        // The references of the two rings have 10⁸ pairs.
        ("two rings", (ring(10_007, &text), ring(10_009, &number))),
        (
            "untagged alternatives",
            (requesting(&alternatives(1)), requesting(&alternatives(2))),
        ),
        (
            "untagged alternatives in each other",
            (nested(1), nested(2)),
        ),
    ] {
        let found = changes(&old, &new);
        assert!(
            found
                .iter()
                .any(|change| change.starts_with("not compared: ")),
            "{name}: {} changes",
            found.len()
        );
    }
}

#[test]
fn long_chains_and_lists_are_compared() {
    let text = json!({"type": "string"});
    let chain = chain(50_000, |next| next, &text);
    assert_eq!(changes(&chain, &chain), [""; 0], "a chain");

    let nested = |levels: usize| {
        let mut schema = text.clone();
        for _ in 0..levels {
            schema = json!({"type": "object", "properties": {"a": schema}});
        }
        requesting(&schema)
    };
    assert_eq!(changes(&nested(50), &nested(50)), [""; 0], "a deep schema");

    // Each schema is merged with the result of merging all earlier ones.
    let lists = (0..2_000).map(|at| json!({"type": "array", "items": {"maxLength": at}}));
    let lists = requesting(&json!({"allOf": lists.collect::<Vec<_>>()}));
    let _ = changes(&lists, &lists);

    let names = |count: usize| (0..count).map(|at| format!("n{at}"));
    let properties: Map<_, _> = names(20_000).map(|name| (name, text.clone())).collect();
    let object = |required: usize| {
        let required: Vec<_> = names(required).collect();
        requesting(&json!({"type": "object", "properties": properties, "required": required}))
    };
    let expected = names(20_000).skip(10_000);
    let expected = expected.map(|name| format!("breaking: request /{name}: optional → required"));
    let found = changes(&object(10_000), &object(20_000));
    assert_eq!(found, expected.collect::<Vec<_>>(), "members");

    let values = |from: usize| {
        let values: Vec<_> = (from..from + 50_000).map(|at| at.to_string()).collect();
        requesting(&json!({"enum": values}))
    };
    let found = changes(&values(0), &values(1));
    assert_eq!(
        found,
        ["breaking: request: \"0\" is no longer accepted"],
        "values"
    );

    let paths = |prefix: &str| {
        let paths = (0..10_000).map(|at| (format!("/p{at}/{{{prefix}}}"), json!({"get": {}})));
        let paths: Map<_, _> = paths.collect();
        json!({"openapi": "3.1.0", "paths": paths})
    };
    assert_eq!(changes(&paths("a"), &paths("b")), [""; 0], "paths");
}

#[test]
fn a_document_as_deep_as_json_can_be_is_compared() {
    // The parser accepts at most 127 levels.
    for (open, close) in [
        ("{\"not\":", "}"),
        ("{\"allOf\":[", "]}"),
        ("{\"type\":\"object\",\"properties\":{\"a\":", "}}"),
        ("{\"type\":\"array\",\"items\":", "}"),
    ] {
        let schema = |last: &str| {
            let levels = 115 / open.matches(['{', '[']).count();
            let mut text = String::new();
            let _ = write!(
                text,
                "{}{last}{}",
                open.repeat(levels),
                close.repeat(levels)
            );
            serde_json::from_str(&text).expect("JSON")
        };
        let (old, new) = (requesting(&schema("{}")), requesting(&schema("{\"x\": 1}")));
        assert_eq!(changes(&old, &old), [""; 0], "{open}");
        assert!(!changes(&old, &new).is_empty(), "{open}");
    }
}
