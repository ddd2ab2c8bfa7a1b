//! What an event stream looks like to readers that split it into lines themselves.

use std::convert::Infallible;

use crate::support::{TestServer, config};
use futures_util::stream;
use ppio::{AgentRuntimeApp, Sse, SseIter, Value, json};
use serde_json::value::RawValue;

/// Items whose JSON text has line breaks between tokens, or Unicode line breaks in strings.
const LAYOUTS: [&str; 5] = [
    "{\n  \"a\": [\r\n 1,\r\t2 ]\n}",
    "\"a\u{2028}b\u{2029}c\u{85}d\"",
    "\n[\"健\u{2028}康\",\r\"—é\"]",
    "\"a\\nb\\u2028\"",
    "1",
];

/// Splits a text at the line breaks of Python's `str.splitlines`.
fn split_lines(text: &str) -> Vec<&str> {
    let ends = "\n\r\u{b}\u{c}\u{1c}\u{1d}\u{1e}\u{85}\u{2028}\u{2029}";
    text.split(|c| ends.contains(c)).collect()
}

fn items() -> impl Iterator<Item = Result<Box<RawValue>, String>> + Send {
    let items = LAYOUTS.map(|text| Ok(RawValue::from_string(text.to_owned()).expect("JSON")));
    items.into_iter()
}

#[tokio::test]
async fn every_item_is_one_line_for_every_reader() {
    let streamed = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(async |_: Value| Sse(stream::iter(items())))
        .build();
    let iterated = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|_: Value| SseIter(items()))
        .build();
    let expected = LAYOUTS.map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
    for app in [streamed, iterated] {
        let server = TestServer::start(app).await;
        let answer = server.invoke("null").await;
        assert_eq!(answer.events(), expected);
        let lines = split_lines(answer.text());
        let data: Vec<Value> = lines
            .iter()
            .filter(|line| !line.is_empty())
            .map(|line| line.strip_prefix("data: ").expect("a data line"))
            .map(|data| serde_json::from_str(data).expect("JSON data"))
            .collect();
        assert_eq!(data, expected, "{lines:?}");
    }
}

#[tokio::test]
async fn an_error_item_is_one_line_as_well() {
    let text = "no\nluck\u{2028}today\u{85}";
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(move |_: Value| {
            let error = std::io::Error::other(text);
            SseIter([Ok(1), Err(error)].into_iter())
        })
        .build();
    let answer = TestServer::start(app).await.invoke("null").await;
    assert_eq!(answer.events()[1]["error"], json!(text));
    assert_eq!(split_lines(answer.text()).len(), 5, "{:?}", answer.text());
}

/// A value is not read line by line, and is sent as it was written.
#[tokio::test]
async fn a_value_keeps_its_layout() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(async |_: Value| {
            let value = RawValue::from_string(LAYOUTS[0].to_owned()).expect("JSON");
            Ok::<_, Infallible>(ppio::Json(value))
        })
        .build();
    let answer = TestServer::start(app).await.invoke("null").await;
    assert!(answer.text().contains(LAYOUTS[0]), "{:?}", answer.text());
}
