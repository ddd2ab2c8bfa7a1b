//! Every shape of entrypoint over every protocol: no failed stream ends as a success, and every
//! stream ends.

use std::iter::once;

use ppio::{Platform, Protocol};
use ppio_test_support::call::Answer;
use ppio_test_support::with_timeout;
use serde_json::{Value, json};

use crate::shapes::{Fails, SHAPES, Shape};
use crate::support::{Agent, events};
use crate::web_socket::Socket;

/// How the agent is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Invocations,
    Protocol(Protocol),
}

/// The answer that a caller received.
#[derive(Debug, Default)]
struct Ended {
    /// The texts, and each other value on a separate line.
    text: String,
    failure: Option<String>,
    /// The number of times that the answer signalled its end.
    ends: usize,
}

impl Ended {
    fn add(&mut self, value: &Value) {
        if let Some(text) = value.as_str() {
            self.text += text;
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text += &value.to_string();
    }

    fn end(&mut self, failure: Option<&Value>) {
        self.ends += 1;
        self.failure = failure.map(|text| text.as_str().unwrap().to_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_ends_exactly_once_in_every_protocol() {
    let ways = once(Way::Invocations).chain(Protocol::ALL.map(Way::Protocol));
    let mut combinations = 0;
    for way in ways {
        for shape in SHAPES {
            let what = format!("{} by {way:?}", shape.name);
            let ended = with_timeout(&what, call(way, &shape)).await;
            assert_eq!(ended.ends, 1, "{what}: {ended:?}");
            match (shape.fails, &ended.failure) {
                (None, None) => assert_eq!(ended.text, shape.text(), "{what}"),
                (Some(Fails::First(_, text) | Fails::Later(text)), Some(failure)) => {
                    assert!(failure.contains(text), "{what}: {failure}");
                    // A tool result is sent as a whole, so a failed one has no text.
                    if way != Way::Protocol(Protocol::Mcp) {
                        assert_eq!(ended.text, shape.text(), "{what}");
                    }
                }
                _ => panic!("{what}: {ended:?}"),
            }
            combinations += 1;
        }
    }
    assert_eq!(combinations, 7 * 12, "a protocol or a shape is left out");
}

async fn call(way: Way, shape: &Shape) -> Ended {
    let protocol = match way {
        Way::Invocations => return invoke(&shape.start().await, shape).await,
        Way::Protocol(protocol) => protocol,
    };
    match protocol {
        Protocol::OpenAi => complete(&shape.start().await).await,
        Protocol::AgUi => {
            let answer = shape.start().await.post("/ag-ui", &run_input()).await;
            of_run(data(answer).await)
        }
        Protocol::A2a => send_message(&shape.start().await).await,
        Protocol::Mcp => call_tool(&shape.start().await).await,
        Protocol::UiStream => chat(&shape.start().await).await,
        Protocol::WebSocket => {
            let agent = shape.start_on(Platform::AgentCoreAgUi).await;
            let mut socket = Socket::open(agent.address, &[]).await;
            socket.send(run_input().to_string()).await;
            let (messages, code, _) = socket.rest().await;
            assert_eq!(code, 1000, "{}", shape.name);
            of_run(messages.iter().map(|text| parse(text)).collect())
        }
        other => panic!("this test does not call the protocol {other} yet"),
    }
}

fn parse(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// Returns the JSON data of the events of a stream.
async fn data(answer: Answer) -> Vec<Value> {
    assert_eq!(answer.status(), 200);
    let stream = answer.text().await;
    events(&stream)
        .iter()
        .map(|(_, data)| parse(data))
        .collect()
}

/// Calls `POST /invocations` with event ids, and checks that the stream can be resumed from three
/// positions.
async fn invoke(agent: &Agent, shape: &Shape) -> Ended {
    let headers = [("ppio-stream-ids", "true")];
    let answer = agent.send("POST", "/invocations", &headers, "{}").await;
    let mut ended = Ended::default();
    let content_type = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    if content_type == "application/json" {
        let failed = !answer.status().is_success();
        let envelope = answer.json().await;
        ended.end(failed.then_some(&envelope["error"]));
        if !failed {
            ended.add(&envelope["result"]);
        }
        return ended;
    }
    let id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let all = events(&answer.text().await);
    for (name, data) in &all {
        let data = parse(data);
        match (name.as_str(), data["type"].as_str()) {
            ("end", _) => ended.end((data["status"] != "success").then_some(&data["error"])),
            ("", Some("text_delta")) => ended.add(&data["text"]),
            ("", _) => ended.add(&data),
            other => panic!("{other:?}"),
        }
    }
    let items = all.len() - 1;
    for last in [0, items / 2, items] {
        let last_id = last.to_string();
        let headers = [("last-event-id", &*last_id)];
        let path = format!("/invocations/{id}/events");
        let rest = agent.send("GET", &path, &headers, "").await.text().await;
        assert_eq!(events(&rest), all[last..], "{} from {last} on", shape.name);
    }
    ended
}

async fn complete(agent: &Agent) -> Ended {
    let messages = json!([{"role": "user", "content": "hi"}]);
    let body = json!({"messages": messages, "stream": true});
    let answer = agent.post("/v1/chat/completions", &body).await;
    let mut ended = Ended::default();
    if answer.status() != 200 {
        ended.end(Some(&answer.json().await["error"]["message"]));
        return ended;
    }
    for (_, data) in events(&answer.text().await) {
        if data == "[DONE]" {
            ended.end(None);
            continue;
        }
        let chunk = parse(&data);
        if let Some(error) = chunk.get("error") {
            ended.end(Some(&error["message"]));
        } else {
            let text = &chunk["choices"][0]["delta"]["content"];
            ended.text += text.as_str().unwrap_or_default();
        }
    }
    ended
}

fn run_input() -> Value {
    json!({
        "threadId": "t", "runId": "r",
        "messages": [{"id": "m", "role": "user", "content": "hi"}],
    })
}

fn of_run(events: Vec<Value>) -> Ended {
    let mut ended = Ended::default();
    for event in events {
        match event["type"].as_str().unwrap() {
            "TEXT_MESSAGE_CONTENT" => ended.add(&event["delta"]),
            "CUSTOM" => ended.add(&event["value"]),
            "RUN_ERROR" => ended.end(Some(&event["message"])),
            "RUN_FINISHED" => {
                assert_eq!(event["outcome"]["type"], "success");
                if let Some(result) = event.get("result") {
                    ended.add(result);
                }
                ended.end(None);
            }
            _ => {}
        }
    }
    ended
}

async fn send_message(agent: &Agent) -> Ended {
    let message = json!({"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}]});
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "SendStreamingMessage",
        "params": {"message": message},
    });
    let mut ended = Ended::default();
    for event in data(agent.post("/a2a", &body).await).await {
        let result = &event["result"];
        let parts = result["artifactUpdate"]["artifact"]["parts"].as_array();
        for part in parts.into_iter().flatten() {
            let value = part.get("text").or(part.get("data"));
            ended.add(value.unwrap());
        }
        let status = &result["statusUpdate"]["status"];
        match status["state"].as_str() {
            Some("TASK_STATE_COMPLETED") => ended.end(None),
            Some("TASK_STATE_FAILED") => ended.end(Some(&status["message"]["parts"][0]["text"])),
            _ => {}
        }
    }
    ended
}

async fn call_tool(agent: &Agent) -> Ended {
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "protocol-tests", "arguments": {}, "_meta": {"progressToken": 1}},
    });
    let accept = [("accept", "application/json, text/event-stream")];
    let answer = agent.send("POST", "/mcp", &accept, &body.to_string()).await;
    let messages = if answer.headers()["content-type"] == "application/json" {
        vec![answer.json().await]
    } else {
        data(answer).await
    };
    let mut ended = Ended::default();
    for message in &messages {
        let Some(result) = message.get("result") else {
            continue;
        };
        let text = &result["content"][0]["text"];
        if result["isError"] == true {
            ended.end(Some(text));
        } else {
            ended.add(text);
            ended.end(None);
        }
    }
    ended
}

async fn chat(agent: &Agent) -> Ended {
    let parts = json!([{"type": "text", "text": "hi"}]);
    let body = json!({"id": "c", "messages": [{"id": "m", "role": "user", "parts": parts}]});
    let answer = agent.post("/api/chat", &body).await;
    let mut ended = Ended::default();
    if answer.status() != 200 {
        ended.end(Some(&answer.json().await["errorText"]));
        return ended;
    }
    for (_, data) in events(&answer.text().await) {
        if data == "[DONE]" {
            continue;
        }
        let chunk = parse(&data);
        match chunk["type"].as_str().unwrap() {
            "text-delta" => ended.add(&chunk["delta"]),
            "data-value" => ended.add(&chunk["data"]),
            "error" => ended.end(Some(&chunk["errorText"])),
            "finish" => ended.end(None),
            _ => {}
        }
    }
    ended
}
