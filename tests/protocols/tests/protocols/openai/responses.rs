//! `POST /v1/responses`.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{error, post, send, start, tool};
use crate::shapes::{Fails, SHAPES};
use crate::support::events;

const PATH: &str = "/v1/responses";

/// Sends a request and returns the events of its stream, whose names and numbers are checked.
pub(super) async fn stream(agent: SocketAddr, body: &Value) -> Vec<Value> {
    let answer = send(agent, "POST", PATH, &body.to_string()).await;
    let status = answer.status();
    let text = answer.text().await;
    assert_eq!(status, 200, "{text}");
    read(&text, 0)
}

/// Returns the events of a stream, numbered from `first`.
pub(super) fn read(stream: &str, first: u64) -> Vec<Value> {
    let events: Vec<Value> = events(stream)
        .into_iter()
        .map(|(name, data)| {
            let event: Value = serde_json::from_str(&data).unwrap();
            assert_eq!(event["type"], name);
            event
        })
        .collect();
    for (at, event) in (first..).zip(&events) {
        assert_eq!(event["sequence_number"], at, "{event}");
    }
    events
}

fn types(events: &[Value]) -> Vec<&str> {
    let types = events.iter().map(|event| event["type"].as_str().unwrap());
    types
        .map(|name| name.strip_prefix("response.").unwrap())
        .collect()
}

/// Returns the text of all messages of a response.
pub(super) fn output_text(response: &Value) -> String {
    let output = response["output"].as_array().unwrap();
    let messages = output.iter().filter(|item| item["type"] == "message");
    let parts = messages.flat_map(|item| item["content"].as_array().unwrap());
    parts.map(|part| part["text"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_streamed() {
    for shape in SHAPES {
        let agent = shape.start().await;
        for store in [true, false] {
            let request = json!({"model": "m", "input": "hi", "stream": true, "store": store});
            let answer = agent.post(PATH, &request).await;
            if let Some(Fails::First(status, text)) = shape.fails {
                let code = if status == 400 { "BadRequest" } else { "Panic" };
                let message = error(answer, status, code).await;
                assert!(message.contains(text), "{}: {message}", shape.name);
                continue;
            }
            assert_eq!(answer.status(), 200, "{}", shape.name);
            let events = read(&answer.text().await, 0);
            assert_eq!(types(&events)[..2], ["created", "in_progress"]);
            let created = &events[0]["response"];
            assert_eq!(created["status"], "in_progress");
            let deltas = events
                .iter()
                .filter(|event| event["type"] == "response.output_text.delta");
            let text: String = deltas
                .map(|event| event["delta"].as_str().unwrap())
                .collect();
            assert_eq!(text, shape.text(), "{}", shape.name);
            let last = events.last().unwrap();
            let response = &last["response"];
            assert_eq!(response["id"], created["id"]);
            assert_eq!(response["store"], store);
            assert_eq!(output_text(response), text, "{}", shape.name);
            if let Some(Fails::Later(text)) = shape.fails {
                assert_eq!(last["type"], "response.failed");
                assert_eq!(response["status"], "failed");
                assert_eq!(
                    response["error"],
                    json!({"code": "Unavailable", "message": text})
                );
                assert_eq!(response["output"][0]["status"], "incomplete");
            } else {
                assert_eq!(last["type"], "response.completed", "{}", shape.name);
                assert_eq!(response["status"], "completed");
                assert_eq!(response["error"], Value::Null);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_answered_whole() {
    for shape in SHAPES {
        let agent = shape.start().await;
        let answer = agent.post(PATH, &json!({"input": "hi"})).await;
        match shape.fails {
            Some(Fails::First(status, text)) => {
                let code = if status == 400 { "BadRequest" } else { "Panic" };
                let message = error(answer, status, code).await;
                assert!(message.contains(text), "{}: {message}", shape.name);
            }
            Some(Fails::Later(text)) => {
                assert_eq!(error(answer, 503, "Unavailable").await, text);
            }
            None => {
                let status = answer.status();
                let body = answer.json().await;
                assert_eq!(status, 200, "{}: {body}", shape.name);
                assert_eq!(body["status"], "completed");
                assert_eq!(output_text(&body), shape.text(), "{}", shape.name);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_output_item_has_its_events() {
    let agent = start();
    let events = stream(agent.addr(), &json!({"input": "weather", "stream": true})).await;
    assert_eq!(
        types(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ]
    );
    let response = &events.last().unwrap()["response"];
    let id = response["id"]
        .as_str()
        .unwrap()
        .strip_prefix("resp_")
        .unwrap();
    let reasoning = json!({
        "id": format!("rs_{id}_0"), "type": "reasoning", "status": "completed",
        "summary": [{"type": "summary_text", "text": "The user wants the weather."}],
    });
    let part = json!({
        "type": "output_text", "annotations": [], "logprobs": [], "text": "It is 20 degrees.",
    });
    let message = json!({
        "id": format!("msg_{id}_1"), "type": "message", "role": "assistant",
        "status": "completed", "content": [part],
    });
    assert_eq!(response["output"], json!([reasoning, message]));
    assert_eq!(events[8]["item"], reasoning);
    assert_eq!(events[8]["output_index"], 0);
    assert_eq!(events[13]["text"], part["text"]);
    assert_eq!(events[14]["part"], part);
    assert_eq!(events[15]["item"], message);
    for event in &events[9..16] {
        assert_eq!(event["output_index"], 1, "{event}");
    }
    for event in &events[10..15] {
        assert_eq!(event["item_id"], message["id"], "{event}");
        assert_eq!(event["content_index"], 0, "{event}");
    }
    assert_eq!(response["usage"]["input_tokens"], 12);
    assert_eq!(response["usage"]["output_tokens"], 7);
    assert_eq!(response["usage"]["total_tokens"], 19);

    let whole = post(agent.addr(), PATH, &json!({"input": "weather"})).await;
    assert_eq!(output_text(&whole), "It is 20 degrees.");
    assert_eq!(whole["usage"], response["usage"]);
    let text = output_text(&post(agent.addr(), PATH, &json!({"input": "approve"})).await);
    assert_eq!(text, "May I?\nMay I send the mail?");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_the_callers_tool_is_an_item() {
    let agent = start();
    let mut function = tool()["function"].clone();
    function["type"] = "function".into();
    let body = json!({"input": "tool", "stream": true, "tools": [function]});
    let events = stream(agent.addr(), &body).await;
    assert_eq!(
        types(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed",
        ]
    );
    let response = &events[6]["response"];
    let call = &response["output"][0];
    assert_eq!(call["type"], "function_call");
    assert_eq!(call["call_id"], "call-2");
    assert_eq!(call["name"], "get_weather");
    assert_eq!(call["arguments"], r#"{"city":"Paris"}"#);
    assert_eq!(events[5]["item"], *call);
    assert_eq!(response["tools"], json!([function]));

    let result =
        json!({"type": "function_call_output", "call_id": "call-2", "output": "20 degrees"});
    let user = json!({"role": "user", "content": "tool"});
    for next in [
        json!({"input": [result], "previous_response_id": response["id"], "tools": [function]}),
        json!({"input": [user, call, result], "tools": [function]}),
    ] {
        let whole = post(agent.addr(), PATH, &next).await;
        assert_eq!(output_text(&whole), "The tool said 20 degrees.", "{next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_reaches_the_agent_and_is_repeated_in_the_response() {
    let agent = start();
    let body = json!({
        "model": "m",
        "instructions": "Be short.",
        "input": [{"role": "user", "content": [
            {"type": "input_text", "text": "echo"},
            {"type": "input_image", "image_url": "https://a.example/b.png", "detail": "auto"},
        ]}],
        "conversation": {"id": "conv_1"},
        "max_output_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u1",
        "metadata": {"k": "v"},
        "reasoning": {"effort": "low"},
        "include": null,
        "store": false,
    });
    let response = post(agent.addr(), PATH, &body).await;
    let seen: Value = serde_json::from_str(&output_text(&response)).unwrap();
    assert_eq!(
        seen,
        json!({
            "prompt": "echo",
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": [
                    {"type": "text", "text": "echo"},
                    {"type": "file", "url": "https://a.example/b.png"},
                ]},
            ],
            "thread_id": "conv_1",
            "model": "m",
            "max_tokens": 7,
            "temperature": 0.5,
            "top_p": 0.9,
            "user_id": "u1",
            "metadata": {"k": "v"},
            "reasoning": {"effort": "low"},
            "include": null,
        })
    );
    assert_eq!(response["object"], "response");
    assert_eq!(response["parallel_tool_calls"], true);
    assert_eq!(response["tool_choice"], "auto");
    assert_eq!(response["tools"], json!([]));
    assert_eq!(response["conversation"], json!({"id": "conv_1"}));
    for name in [
        "model",
        "instructions",
        "max_output_tokens",
        "temperature",
        "top_p",
        "user",
        "metadata",
        "reasoning",
        "store",
    ] {
        assert_eq!(response[name], body[name], "{name}");
    }
}
