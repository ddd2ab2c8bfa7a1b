//! Tests of the comparison: pairs of documents, and the changes between them.

mod alternatives;
mod large;
mod limits;
mod members;
mod operations;
mod properties;

use serde_json::{Value, json};

use super::{Severity, compare};

/// Returns a document of an agent whose request and answer have these schemas.
fn document(request: &Value, reply: &Value, components: &Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "agent", "version": "1"},
        "paths": {"/invocations": {"post": {
            "requestBody": {"content": {"application/json": {"schema": request}}},
            "responses": {"200": {
                "description": "",
                "content": {"application/json": {"schema": reply}},
            }},
        }}},
        "components": {"schemas": components},
    })
}

/// Returns the changes that are found, each as its severity, its place and its text.
fn changes(old: &Value, new: &Value) -> Vec<String> {
    let changes = compare(old, new).expect("documents");
    let changes = changes.into_iter().map(|change| {
        let severity = match change.severity {
            Severity::Breaking => "breaking",
            Severity::NotCompared => "not compared",
            Severity::Note => "note",
        };
        let place = match change.place.strip_prefix("POST /invocations ") {
            Some(place) => place.replace("response 200", "reply"),
            None => change.place,
        };
        format!("{severity}: {place}: {}", change.text)
    });
    changes.collect()
}

#[track_caller]
fn check(old: &Value, new: &Value, expected: &[&str]) {
    assert_eq!(changes(old, new), expected, "{old}\n{new}");
}

/// Checks a change of the request and the same change of the reply.
#[track_caller]
fn check_both(old: &Value, new: &Value, request: &[&str], reply: &[&str]) {
    let (any, none) = (json!({}), json!({}));
    check(
        &document(old, &any, &none),
        &document(new, &any, &none),
        request,
    );
    check(
        &document(&any, old, &none),
        &document(&any, new, &none),
        reply,
    );
}

fn object(required: &[&str], properties: impl Into<Value>) -> Value {
    let properties: Value = properties.into();
    json!({"type": "object", "required": required, "properties": properties})
}
