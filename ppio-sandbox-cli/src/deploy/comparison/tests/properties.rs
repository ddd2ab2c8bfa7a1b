//! Properties that hold for all documents.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::compare;
use super::{changes, document, object};

/// Returns a strategy for schemas, some of which refer to the components `A` and `B`.
fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!({"type": "string"})),
        Just(json!({"type": ["integer", "null"], "minimum": 3, "format": "uint32"})),
        Just(json!({"enum": ["a", 1, null, [1], {"a": 1}]})),
        Just(json!({"const": "a"})),
        Just(json!({"$ref": "#/components/schemas/A"})),
        Just(json!({"$ref": "#/components/schemas/B", "type": "object"})),
        Just(json!({"$ref": "#/components/schemas/Gone"})),
        Just(json!({"type": "string", "pattern": "^a", "not": {"const": "ab"}})),
        Just(json!(false)),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let schemas = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            (schemas.clone(), any::<bool>(), any::<bool>()).prop_map(
                |(schemas, required, open)| {
                    let names = ["a", "b", "c"];
                    let properties = names.into_iter().zip(schemas);
                    let properties: serde_json::Map<_, _> = properties
                        .map(|(name, schema)| (name.to_owned(), schema))
                        .collect();
                    let required = if required { &names[..1] } else { &[] };
                    let mut schema = object(required, properties);
                    schema["additionalProperties"] = json!(open);
                    schema
                }
            ),
            inner
                .clone()
                .prop_map(|items| json!({"type": "array", "items": items})),
            schemas
                .clone()
                .prop_map(|schemas| json!({"anyOf": schemas})),
            schemas
                .clone()
                .prop_map(|schemas| json!({"oneOf": schemas})),
            schemas.prop_map(|schemas| json!({"allOf": schemas})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_document_does_not_differ_from_itself(request in schema(), a in schema(), b in schema()) {
        let document = document(&request, &request, &json!({"A": a, "B": b}));
        prop_assert_eq!(changes(&document, &document), [""; 0]);
    }

    /// The comparison of any two documents ends.
    #[test]
    fn any_two_documents_are_compared(old in schema(), new in schema(), a in schema(), b in schema()) {
        let old = document(&old, &old, &json!({"A": a.clone(), "B": b.clone()}));
        let new = document(&new, &new, &json!({"A": b, "B": a}));
        prop_assert!(compare(&old, &new).is_ok());
    }
}
