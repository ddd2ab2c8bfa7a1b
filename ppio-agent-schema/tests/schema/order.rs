//! Properties keep the order in which their fields are declared.

use ppio_agent_schema::{Schema, request_schema, schemars};
use serde::Deserialize;

#[derive(Deserialize, schemars::JsonSchema)]
struct Zoo {
    zebra: String,
    ape: Option<Inner>,
    bear: Vec<Inner>,
}

#[derive(Deserialize, schemars::JsonSchema)]
struct Inner {
    weight: u8,
    age: u8,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(tag = "type")]
enum Tagged {
    Say { prompt: String, loud: bool },
    Other,
}

fn assert_order(schema: &Schema, names: &[&str]) {
    let text = serde_json::to_string(schema).unwrap();
    let mut rest = text.as_str();
    for name in names {
        let key = format!("\"{name}\":");
        let at = rest.find(&key);
        rest = &rest[at.unwrap_or_else(|| panic!("{name} is missing from {rest} in {text}"))..];
    }
}

#[test]
fn fields_keep_their_order() {
    let keys = [
        "title", "type", "zebra", "ape", "weight", "age", "bear", "weight", "age",
    ];
    assert_order(&Schema::traced::<Zoo>(), &keys);
    assert_order(&request_schema!(Zoo), &keys);
    assert_order(&Schema::traced::<Tagged>(), &["type", "prompt", "loud"]);
}

#[test]
fn a_schema_serializes_as_its_value() {
    let schema = request_schema!(Zoo);
    assert_eq!(&serde_json::to_value(&schema).unwrap(), schema.as_value());
}
