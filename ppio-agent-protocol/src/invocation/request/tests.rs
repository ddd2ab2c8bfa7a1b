use super::*;
use serde_json::json;

#[test]
fn writes_only_what_is_set() {
    assert_eq!(
        serde_json::to_value(InvocationRequest::default()).unwrap(),
        json!({})
    );
    assert_eq!(
        serde_json::to_value(InvocationRequest::from("hi")).unwrap(),
        json!({"prompt": "hi"})
    );
}

#[test]
fn reads_and_writes_every_field() {
    let all = json!({
        "prompt": "p", "data": {"a": 1}, "sandbox_id": "s", "timeout": 30, "stream": true,
        "max_tokens": 5, "temperature": 0.5, "metadata": {"m": null}, "user_id": "u",
        "request_id": "r", "stream_options": {"include_usage": true}, "mine": [1, {"x": "y"}],
    });
    let read: InvocationRequest = serde_json::from_value(all.clone()).unwrap();
    assert_eq!(read.session_id(), Some("s"));
    assert_eq!(read.extra.keys().collect::<Vec<_>>(), ["mine"]);
    assert_eq!(serde_json::to_value(&read).unwrap(), all);
    assert_eq!(InvocationRequest::from(all), read);
}

#[test]
fn reads_null_as_absent() {
    let read: InvocationRequest =
        serde_json::from_str(r#"{"prompt":null,"timeout":null}"#).unwrap();
    assert_eq!(read, InvocationRequest::default());
}

#[test]
fn rejects_other_types() {
    for text in [
        "[]",
        "\"hi\"",
        "null",
        r#"{"prompt":5}"#,
        r#"{"timeout":-1}"#,
        r#"{"timeout":1.5}"#,
        r#"{"stream":"yes"}"#,
        r#"{"data":[1]}"#,
    ] {
        assert!(
            serde_json::from_str::<InvocationRequest>(text).is_err(),
            "{text}"
        );
    }
}

#[test]
fn writes_an_object_as_it_was_given() {
    for value in [
        json!({}),
        json!({"prompt": 5, "timeout": "soon", "data": []}),
        json!({"prompt": null}),
        json!({"messages": [{"role": "user"}]}),
        json!({"temperature": 0.25}),
    ] {
        let request = InvocationRequest::from(value.clone());
        assert_eq!(serde_json::to_value(&request).unwrap(), value);
    }
    for (value, prompt) in [
        (json!("hi"), "hi"),
        (json!(""), ""),
        (json!([1, "two"]), r#"[1,"two"]"#),
        (json!(null), "null"),
        (json!(1.5), "1.5"),
    ] {
        assert_eq!(
            InvocationRequest::from(value),
            InvocationRequest::prompt(prompt)
        );
    }
}

#[test]
fn reads_a_text_as_object_or_prompt() {
    for text in [
        "",
        "hi",
        "{",
        "{\"a\":}",
        "\"quoted\"",
        "[1]",
        "42",
        "{} {}",
        "健康 \u{1f600}",
    ] {
        assert_eq!(
            InvocationRequest::from_text(text),
            InvocationRequest::prompt(text)
        );
    }
    let deep = "{\"a\":".repeat(10_000);
    assert_eq!(
        InvocationRequest::from_text(&deep),
        InvocationRequest::prompt(deep.as_str())
    );
    assert_eq!(
        InvocationRequest::from_text(" {\"prompt\": \"x\", \"k\": 1}\n").extra["k"],
        json!(1)
    );
    // The text of an end user cannot set the session.
    let message = r#"{"sandbox_id":"another session"}"#;
    assert_eq!(InvocationRequest::from(message).session_id(), None);
}

#[test]
fn takes_any_value_that_serializes_to_an_object() {
    #[derive(Serialize)]
    struct Turn {
        turn: u8,
    }
    let request = InvocationRequest::prompt("p")
        .with_data(json!({"dataset": "sales.csv"}))
        .with_metadata(Turn { turn: 1 })
        .with_stream_options(std::collections::BTreeMap::from([("usage", true)]));
    assert_eq!(
        serde_json::to_value(&request).unwrap(),
        json!({
            "prompt": "p", "data": {"dataset": "sales.csv"}, "metadata": {"turn": 1},
            "stream_options": {"usage": true},
        })
    );
}

#[test]
fn a_value_that_is_not_an_object_is_the_error_of_the_request() {
    let request = InvocationRequest::default;
    let no_keys = std::collections::HashMap::from([((1, 2), 3)]);
    for (request, expected) in [
        (
            request().with_data([1]),
            "data: must serialize to a JSON object, not to an array",
        ),
        (
            request().with_metadata("m"),
            "metadata: must serialize to a JSON object, not to a string",
        ),
        (
            request().with_stream_options(()),
            "stream_options: must serialize to a JSON object, not to null",
        ),
        (
            request().with_data(1).with_metadata(2),
            "data: must serialize to a JSON object, not to a number",
        ),
        (request().with_data(no_keys), "data: key must be a string"),
    ] {
        assert!(request.data.is_none());
        assert_eq!(
            serde_json::to_string(&request).unwrap_err().to_string(),
            expected
        );
        assert_eq!(
            serde_json::to_value(&request).unwrap_err().to_string(),
            expected
        );
    }
    // A field of the caller may have the name of the private field.
    let named = json!({"invalid": 1});
    let read: InvocationRequest = serde_json::from_value(named.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), named);
}
