//! Operations, and documents that are refused.

use serde_json::{Value, json};

use super::super::compare;
use super::check;

#[test]
fn operations() {
    let service = |paths: Value| json!({"openapi": "3.1.1", "paths": paths});
    let answer = json!({"200": {"content": {"application/json": {}}}});
    let get = |extra: Value| {
        let mut operation = json!({"responses": answer});
        for (name, value) in extra.as_object().expect("an object") {
            operation[name] = value.clone();
        }
        service(json!({"/a/{id}": {"get": operation}}))
    };
    let plain = get(json!({}));
    let parameter = |required: bool, kind: &str| json!({"parameters": [{"name": "Q", "in": "header", "required": required, "schema": {"type": kind}}]});
    let event = json!({"200": {"content": {"text/event-stream": {"schema": {"properties": {"data": {
        "type": "string", "contentSchema": {"type": "string"},
    }}}}}}});
    let header =
        |required: bool| json!({"responses": {"200": {"headers": {"x": {"required": required}}}}});
    let body =
        |required: bool| json!({"requestBody": {"required": required, "content": {"a/b": {}}}});
    let range = json!({"requestBody": {"content": {"a/*": {}}}});
    let renamed = service(json!({"/a/{key}": {"get": {"responses": answer}}}));
    let secured = json!({"security": [{"key": []}]});
    let with_status = |status: &str| json!({"responses": {"200": answer["200"], status: {}}});
    for (old, new, expected) in [
        (
            &plain,
            &service(json!({})),
            &["breaking: /a/{id}: path is gone"][..],
        ),
        (&service(json!({})), &plain, &[]),
        (
            &plain,
            &service(json!({"/a/{id}": {"post": {}}})),
            &["breaking: GET /a/{id}: method is gone"],
        ),
        (&plain, &renamed, &[]),
        (
            &plain,
            &get(parameter(true, "string")),
            &["breaking: GET /a/{id} header q: new required parameter"],
        ),
        (&plain, &get(parameter(false, "string")), &[]),
        (
            &get(parameter(false, "string")),
            &get(parameter(true, "string")),
            &["breaking: GET /a/{id} header q: optional → required"],
        ),
        (
            &get(parameter(false, "string")),
            &get(parameter(false, "null")),
            &["breaking: GET /a/{id} header q: type string → null"],
        ),
        (
            &get(parameter(false, "string")),
            &plain,
            &["note: GET /a/{id} header q: parameter is no longer described"],
        ),
        (
            &plain,
            &get(json!({"responses": event})),
            &[
                "breaking: GET /a/{id} response 200: content type application/json is gone",
                "note: GET /a/{id} response 200: new content type text/event-stream",
            ],
        ),
        (
            &get(header(true)),
            &get(header(false)),
            &["breaking: GET /a/{id} response 200 header x: required → optional"],
        ),
        (
            &get(header(true)),
            &get(json!({"responses": {"200": {}}})),
            &["breaking: GET /a/{id} response 200 header x: header is gone"],
        ),
        (
            &plain,
            &get(body(true)),
            &["breaking: GET /a/{id} request: new required body"],
        ),
        (
            &get(body(false)),
            &get(body(true)),
            &["breaking: GET /a/{id} request: optional → required"],
        ),
        (
            &get(body(false)),
            &plain,
            &["breaking: GET /a/{id} request: body is no longer accepted"],
        ),
        (&get(body(false)), &get(range.clone()), &[]),
        (
            &get(range),
            &get(body(false)),
            &["breaking: GET /a/{id} request a/*: content type a/* is gone"],
        ),
        (
            &plain,
            &get(secured),
            &["not compared: GET /a/{id}: `security` changed, not compared"],
        ),
        (
            &plain,
            &get(with_status("429")),
            &["note: GET /a/{id} response 429: new status"],
        ),
        (&get(with_status("429")), &plain, &[]),
        (
            &get(with_status("202")),
            &plain,
            &["breaking: GET /a/{id} response 202: status is gone"],
        ),
        (
            &get(with_status("202")),
            &get(with_status("2XX")),
            &["note: GET /a/{id} response 2XX: new status"],
        ),
    ] {
        check(old, new, expected);
        check(old, old, &[]);
        check(new, new, &[]);
    }
    // A stream whose events are described by a `contentSchema`.
    let items = |kind: &str| {
        let mut event = event.clone();
        event["200"]["content"]["text/event-stream"]["schema"]["properties"]["data"]["contentSchema"]
            ["type"] = json!(kind);
        get(json!({"responses": event}))
    };
    check(
        &items("string"),
        &items("null"),
        &["breaking: GET /a/{id} response 200 text/event-stream /data: type string → null"],
    );
}

#[test]
fn other_documents_are_refused() {
    let good = json!({"openapi": "3.1.0", "paths": {}});
    for bad in [
        json!({"openapi": "3.0.3", "paths": {}}),
        json!({"openapi": "3.1.0"}),
        json!(1),
    ] {
        let refused = compare(&good, &bad).expect_err("it is refused");
        assert_eq!(
            refused,
            "the new agent's document is not one of OpenAPI 3.1"
        );
        assert!(compare(&bad, &good).is_err());
    }
}
