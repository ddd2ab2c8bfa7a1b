//! The source that a request's schema comes from.

use std::collections::BTreeMap;

use ppio_agent_protocol::InvocationRequest;
use ppio_agent_schema::{Schema, request_schema, schemars};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What is asked.
#[derive(Deserialize, schemars::JsonSchema)]
struct Described {
    /// The question in words.
    prompt: String,
    #[schemars(range(min = 1, max = 9))]
    times: u8,
    #[serde(default = "nine")]
    limit: u8,
    place: Option<Place>,
    #[serde(flatten)]
    more: More,
}

#[derive(Deserialize, schemars::JsonSchema)]
struct Place {
    city: String,
}

#[derive(Deserialize, schemars::JsonSchema)]
struct More {
    user: Option<String>,
}

fn nine() -> u8 {
    9
}

#[derive(Deserialize)]
struct Plain {
    prompt: String,
}

#[test]
fn the_types_own_schema_comes_first() {
    let schema = request_schema!(Described).into_value();
    assert_eq!(schema["title"], "Described");
    assert_eq!(schema["description"], "What is asked.");
    assert_eq!(schema.get("$schema"), None);
    let properties = &schema["properties"];
    assert_eq!(
        properties["prompt"]["description"],
        "The question in words."
    );
    assert_eq!(properties["times"]["maximum"], 9);
    assert_eq!(properties["limit"]["default"], 9);
    assert_eq!(
        properties["user"]["type"],
        json!(["string", "null"]),
        "a flattened optional field"
    );
    assert_eq!(properties["place"]["required"], json!(["city"]));
    assert_eq!(schema["required"], json!(["prompt", "times"]));
}

#[test]
fn a_plain_serde_type_is_traced() {
    let schema = request_schema!(Plain);
    assert_eq!(schema, Schema::traced::<Plain>());
    assert_eq!(schema.as_value()["required"], json!(["prompt"]));
    assert_eq!(request_schema!(Vec<Plain>), Schema::traced::<Vec<Plain>>());
}

#[test]
fn a_type_that_cannot_be_read_is_any_json() {
    struct Opaque;
    assert!(request_schema!(Opaque).is_any());
    assert!(request_schema!(Value).is_any());
}

#[test]
fn types_of_the_standard_library_have_no_title() {
    assert_eq!(
        request_schema!(String).into_value(),
        json!({"type": "string"})
    );
    let list = request_schema!(Vec<BTreeMap<String, bool>>).into_value();
    assert_eq!(list["type"], "array");
    assert_eq!(list.get("title"), None);
}

#[test]
fn optional_fields_beside_a_flattened_one_are_found_where_the_type_serializes() {
    #[derive(Serialize, Deserialize)]
    struct Chat {
        prompt: String,
        times: Option<u8>,
        #[serde(default)]
        tags: Vec<String>,
        #[serde(flatten)]
        extra: Map<String, Value>,
    }
    assert_eq!(
        request_schema!(Chat).into_value(),
        json!({
            "type": "object",
            "properties": {
                "prompt": {"type": "string"},
                "times": {"type": "integer", "minimum": 0, "maximum": 255},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["prompt"],
            "additionalProperties": {},
        })
    );
    assert_eq!(
        request_schema!(BTreeMap<String, Plain>),
        Schema::traced::<BTreeMap<String, Plain>>(),
        "a map has no fields"
    );
}

#[test]
fn the_invocation_request_is_described_as_it_is() {
    let schema = request_schema!(InvocationRequest).into_value();
    assert_eq!(schema["title"], "InvocationRequest");
    assert_eq!(schema["description"], "The common fields of a request.");
    assert_eq!(schema["additionalProperties"], json!(true));
    assert_eq!(schema.get("required"), None);
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(properties["prompt"]["description"], "The prompt.");
    let filled: Value = properties
        .iter()
        .map(|(name, schema)| {
            let value = match schema["type"]
                .as_array()
                .map_or(&schema["type"], |types| &types[0])
            {
                Value::String(kind) if kind == "string" => json!("x"),
                Value::String(kind) if kind == "integer" => json!(1),
                Value::String(kind) if kind == "number" => json!(0.5),
                Value::String(kind) if kind == "boolean" => json!(true),
                Value::String(kind) if kind == "array" => match name.as_str() {
                    "messages" => json!([{"role": "user", "content": "x"}]),
                    "tools" => json!([{"name": "x"}]),
                    "resume" => json!([{"interrupt_id": "x", "status": "resolved"}]),
                    other => panic!("no item type in {other}"),
                },
                _ => json!({"a": 1}),
            };
            (name.clone(), value)
        })
        .collect();
    let request: InvocationRequest = serde_json::from_value(filled.clone()).unwrap();
    assert!(request.extra.is_empty(), "{:?}", request.extra);
    assert_eq!(serde_json::to_value(&request).unwrap(), filled);
}

#[derive(Deserialize, schemars::JsonSchema)]
struct Tree {
    children: Vec<Tree>,
}

#[test]
fn a_recursive_type_refers_to_its_root() {
    let tree = request_schema!(Tree).into_value();
    assert_eq!(
        tree["properties"]["children"]["items"],
        json!({"$ref": "#"})
    );
}
