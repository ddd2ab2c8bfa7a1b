//! The results of calls.

use serde_json::{Value, json};

use super::{call, text_of};
use crate::shapes::{Fails, SHAPES};
use crate::support::events;

/// Checks the response of a call against the expected answer of a shape.
fn check_result(name: &str, response: &Value, text: &str, fails: Option<Fails>) {
    assert_eq!(response["jsonrpc"], "2.0", "{name}: {response}");
    assert_eq!(response["id"], 7, "{name}");
    let result = &response["result"];
    match fails {
        None => {
            assert_eq!(text_of(result), text, "{name}");
            assert_eq!(result["isError"], Value::Null, "{name}");
        }
        Some(Fails::First(_, expected) | Fails::Later(expected)) => {
            assert!(text_of(result).contains(expected), "{name}: {response}");
            assert_eq!(result["isError"], true, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_one_result() {
    for shape in SHAPES {
        let agent = shape.start().await;
        for is_stateless in [false, true] {
            let answer = call(&agent, is_stateless, json!({}), None).await;
            assert_eq!(answer.status(), 200, "{}", shape.name);
            assert_eq!(answer.headers()["content-type"], "application/json");
            let response = answer.json().await;
            check_result(shape.name, &response, &shape.text(), shape.fails);
            let kind = &response["result"]["resultType"];
            let expected = if is_stateless {
                json!("complete")
            } else {
                Value::Null
            };
            assert_eq!(*kind, expected, "{}", shape.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_reports_its_progress() {
    for shape in SHAPES {
        let agent = shape.start().await;
        for is_stateless in [false, true] {
            let answer = call(&agent, is_stateless, json!({}), Some("t")).await;
            assert_eq!(answer.status(), 200, "{}", shape.name);
            let content_type = answer.headers()["content-type"]
                .to_str()
                .unwrap()
                .to_owned();
            let body = answer.text().await;
            let has_items = !matches!(shape.name, "value" | "typed_value")
                && !matches!(shape.fails, Some(Fails::First(..)));
            if !has_items {
                assert_eq!(content_type, "application/json", "{}", shape.name);
                let response: Value = serde_json::from_str(&body).unwrap();
                check_result(shape.name, &response, &shape.text(), shape.fails);
                continue;
            }
            assert!(
                content_type.starts_with("text/event-stream"),
                "{}",
                shape.name
            );
            let messages: Vec<Value> = events(&body)
                .iter()
                .map(|(_, data)| serde_json::from_str(data).unwrap())
                .collect();
            let (response, progress) = messages.split_last().unwrap();
            check_result(shape.name, response, &shape.text(), shape.fails);
            let mut text = String::new();
            for (at, notification) in (1u64..).zip(progress) {
                assert_eq!(notification["method"], "notifications/progress");
                let params = &notification["params"];
                assert_eq!(params["progressToken"], "t");
                assert_eq!(params["progress"], at, "{}", shape.name);
                text += params["message"].as_str().unwrap();
            }
            assert_eq!(text, shape.text().replace('\n', ""), "{}", shape.name);
        }
    }
}
