//! `POST /v1/chat/completions`.

use std::net::SocketAddr;

use ppio::{Body, Response};
use ppio_test_support::{eventually_some, with_timeout};
use serde_json::{Value, json};

use super::{error, post, send, start, tool};
use crate::shapes::{Fails, SHAPES};
use crate::support::{Agent, events};

const PATH: &str = "/v1/chat/completions";

fn request(prompt: &str, stream: bool) -> Value {
    json!({
        "model": "m",
        "messages": [{"role": "user", "content": prompt}],
        "stream": stream,
    })
}

/// Sends a request and returns the chunks of its stream, which has to end successfully.
async fn chunks(agent: SocketAddr, body: &Value) -> Vec<Value> {
    let answer = send(agent, "POST", PATH, &body.to_string()).await;
    assert_eq!(answer.status(), 200, "{body}");
    let events = events(&answer.text().await);
    let (last, chunks) = events.split_last().unwrap();
    assert_eq!(last.1, "[DONE]", "{body}");
    let chunks: Vec<Value> = chunks
        .iter()
        .map(|(_, chunk)| serde_json::from_str(chunk).unwrap())
        .collect();
    for chunk in &chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(chunk["id"], chunks[0]["id"]);
        assert_eq!(chunk["model"], "m");
    }
    chunks
}

fn deltas(chunks: &[Value]) -> Vec<&Value> {
    chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"])
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_streamed() {
    for shape in SHAPES {
        let agent = shape.start().await;
        let answer = agent.post(PATH, &request("hi", true)).await;
        if let Some(Fails::First(status, text)) = shape.fails {
            let code = if status == 400 { "BadRequest" } else { "Panic" };
            let message = error(answer, status, code).await;
            assert!(message.contains(text), "{}: {message}", shape.name);
            continue;
        }
        assert_eq!(answer.status(), 200, "{}", shape.name);
        let mut events = events(&answer.text().await);
        let last = events.pop().unwrap().1;
        if let Some(Fails::Later(expected)) = shape.fails {
            let error: Value = serde_json::from_str(&last).unwrap();
            assert_eq!(error["error"]["message"], expected, "{}", shape.name);
            assert_eq!(error["error"]["type"], "server_error");
        } else {
            assert_eq!(last, "[DONE]", "{}", shape.name);
            let end: Value = serde_json::from_str(&events.pop().unwrap().1).unwrap();
            assert_eq!(end["choices"][0]["finish_reason"], "stop", "{}", shape.name);
            assert_eq!(end["choices"][0]["delta"], json!({}));
        }
        let mut text = String::new();
        for (at, (_, chunk)) in events.iter().enumerate() {
            let chunk: Value = serde_json::from_str(chunk).unwrap();
            let choice = &chunk["choices"][0];
            assert_eq!(
                choice["delta"]["role"] == "assistant",
                at == 0,
                "{}",
                shape.name
            );
            assert_eq!(choice["finish_reason"], Value::Null);
            text += choice["delta"]["content"].as_str().unwrap();
        }
        assert_eq!(text, shape.text(), "{}", shape.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_answered_whole() {
    for shape in SHAPES {
        let agent = shape.start().await;
        let answer = agent.post(PATH, &request("hi", false)).await;
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
                let choice = &body["choices"][0];
                assert_eq!(choice["message"]["content"], shape.text(), "{}", shape.name);
                assert_eq!(choice["message"]["role"], "assistant");
                assert_eq!(choice["finish_reason"], "stop");
                assert_eq!(body["object"], "chat.completion");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_the_callers_tool_is_passed_to_it() {
    let agent = start();
    let mut body = request("tool", false);
    body["tools"] = json!([tool()]);
    let whole = post(agent.addr(), PATH, &body).await;
    let choice = &whole["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let call = json!({"id": "call-2", "type": "function", "function": {
        "name": "get_weather", "arguments": r#"{"city":"Paris"}"#,
    }});
    let message =
        json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [call]});
    assert_eq!(choice["message"], message);

    body["stream"] = true.into();
    let chunks = chunks(agent.addr(), &body).await;
    let expected = [
        json!({"role": "assistant", "content": ""}),
        json!({"tool_calls": [{"index": 0, "id": "call-2", "type": "function",
            "function": {"name": "get_weather", "arguments": ""}}]}),
        json!({"tool_calls": [{"index": 0, "function": {"arguments": r#"{"city":"Paris"}"#}}]}),
        json!({}),
    ];
    assert_eq!(deltas(&chunks), expected.iter().collect::<Vec<_>>());
    assert_eq!(chunks[3]["choices"][0]["finish_reason"], "tool_calls");

    body["stream"] = false.into();
    body["messages"] = json!([
        {"role": "user", "content": "tool"},
        message,
        {"role": "tool", "tool_call_id": "call-2", "content": "20 degrees"},
    ]);
    let whole = post(agent.addr(), PATH, &body).await;
    let content = &whole["choices"][0]["message"]["content"];
    assert_eq!(content, "The tool said 20 degrees.");
}

#[tokio::test(flavor = "multi_thread")]
async fn deprecated_functions_are_supported_as_tools() {
    let agent = start();
    let mut body = request("tool", false);
    body["functions"] = json!([tool()["function"]]);
    let whole = post(agent.addr(), PATH, &body).await;
    let choice = &whole["choices"][0];
    assert_eq!(choice["finish_reason"], "function_call");
    let call = json!({"name": "get_weather", "arguments": r#"{"city":"Paris"}"#});
    assert_eq!(choice["message"]["function_call"], call);
    assert_eq!(choice["message"].get("tool_calls"), None);

    body["stream"] = true.into();
    let chunks = chunks(agent.addr(), &body).await;
    let expected = [
        json!({"function_call": {"name": "get_weather", "arguments": ""}}),
        json!({"function_call": {"arguments": r#"{"city":"Paris"}"#}}),
    ];
    assert_eq!(deltas(&chunks)[1..3], expected.iter().collect::<Vec<_>>());

    body["stream"] = false.into();
    body["messages"] = json!([
        {"role": "user", "content": "tool"},
        {"role": "assistant", "content": null, "function_call": call},
        {"role": "function", "name": "get_weather", "content": "20 degrees"},
    ]);
    let whole = post(agent.addr(), PATH, &body).await;
    let content = &whole["choices"][0]["message"]["content"];
    assert_eq!(content, "The tool said 20 degrees.");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_the_agents_own_tools_are_not_sent() {
    let agent = start();
    let usage = json!({"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19});
    let whole = post(agent.addr(), PATH, &request("weather", false)).await;
    assert_eq!(whole["usage"], usage);
    let message = json!({
        "role": "assistant", "content": "It is 20 degrees.", "refusal": null,
        "reasoning_content": "The user wants the weather.",
    });
    assert_eq!(whole["choices"][0]["message"], message);
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");

    let mut body = request("weather", true);
    let without_usage = chunks(agent.addr(), &body).await;
    assert!(
        without_usage
            .iter()
            .all(|chunk| chunk.get("usage").is_none())
    );
    body["stream_options"] = json!({"include_usage": true});
    let chunks = chunks(agent.addr(), &body).await;
    let (last, others) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], usage);
    assert!(others.iter().all(|chunk| chunk["usage"].is_null()));
    let expected = [
        json!({"role": "assistant", "content": ""}),
        json!({"reasoning_content": "The user wants "}),
        json!({"reasoning_content": "the weather."}),
        json!({"content": "It is "}),
        json!({"content": "20 degrees."}),
        json!({}),
    ];
    assert_eq!(deltas(others), expected.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_is_answered_with_its_message() {
    let agent = start();
    let text = "May I?\nMay I send the mail?";
    let whole = post(agent.addr(), PATH, &request("approve", false)).await;
    assert_eq!(whole["choices"][0]["message"]["content"], text);
    let chunks = chunks(agent.addr(), &request("approve", true)).await;
    let streamed: String = deltas(&chunks)
        .iter()
        .filter_map(|delta| delta["content"].as_str())
        .collect();
    assert_eq!(streamed, text);
    // A caller that is written for this agent answers the interrupt in the member `resume`.
    let mut resumed = request("approve", false);
    resumed["resume"] = json!([{"interrupt_id": "interrupt-1", "payload": {"approved": true}}]);
    let whole = post(agent.addr(), PATH, &resumed).await;
    let content = &whole["choices"][0]["message"]["content"];
    assert_eq!(content, r#"Decided: {"approved":true}."#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_reaches_the_agent() {
    let agent = start();
    let body = json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "a", "arguments": "{}"},
                 "extra_content": {"x": 1}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "20"}]},
            {"role": "user", "name": "Ann", "content": [
                {"type": "text", "text": "echo"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ]},
        ],
        "stream": null,
        "tools": [tool()],
        "tool_choice": "required",
        "max_tokens": 5,
        "max_completion_tokens": 7,
        "temperature": 0.5,
        "user": "u1",
        "metadata": {"k": "v"},
        "seed": 3,
        "n": 1,
        "store": false,
        "state": {"a": 1},
        "thread_id": "t1",
        "prompt": "another one",
        "messages_of_later_versions": [null],
    });
    let whole = post(agent.addr(), PATH, &body).await;
    let content = whole["choices"][0]["message"]["content"].as_str().unwrap();
    let seen: Value = serde_json::from_str(content).unwrap();
    let parameters = &tool()["function"]["parameters"];
    assert_eq!(
        seen,
        json!({
            "prompt": "echo",
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "assistant", "reasoning_content": "hm", "tool_calls": [
                    {"id": "c1", "name": "a", "arguments": "{}", "extra_content": {"x": 1}},
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": "20"},
                {"role": "user", "name": "Ann", "content": [
                    {"type": "text", "text": "echo"},
                    {"type": "file", "media_type": "image/png", "data": "AAAA"},
                ]},
            ],
            "tools": [{"name": "get_weather", "description": "The weather.", "strict": true,
                       "parameters": parameters}],
            "model": "m",
            "tool_choice": "required",
            "max_tokens": 7,
            "temperature": 0.5,
            "user_id": "u1",
            "metadata": {"k": "v"},
            "seed": 3,
            "store": false,
            "state": {"a": 1},
            "thread_id": "t1",
            "messages_of_later_versions": [null],
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_cancels_the_invocation() {
    let agent = start();
    let address = agent.addr();
    for stream in [true, false] {
        let before = cancelled(address).await;
        let body = request("hang", stream).to_string();
        if stream {
            let mut answer = send(address, "POST", PATH, &body).await;
            let mut begun = String::new();
            while !begun.contains("waiting") {
                begun += &with_timeout("a chunk", answer.next_text()).await.unwrap();
            }
        } else {
            let abandoned = tokio::spawn(async move { send(address, "POST", PATH, &body).await });
            with_timeout("a running invocation", async {
                while running(address).await == 0 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            abandoned.abort();
        }
        eventually_some("a cancelled invocation", async || {
            (cancelled(address).await > before).then_some(())
        })
        .await;
    }
}

async fn cancelled(agent: SocketAddr) -> u64 {
    let whole = post(agent, PATH, &request("cancelled", false)).await;
    let content = whole["choices"][0]["message"]["content"].as_str().unwrap();
    content.parse().unwrap()
}

/// Returns the number of running invocations.
async fn running(agent: SocketAddr) -> u64 {
    let metrics = send(agent, "GET", "/metrics", "").await.text().await;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("ppio_agent_invocations_running "));
    let (_, count) = line.unwrap().split_once(' ').unwrap();
    count.parse().unwrap()
}

mod own_errors {
    use super::{Body, Response};

    #[ppio::entrypoint(config = crate::support::config())]
    async fn agent(_request: ppio::Value) -> Response {
        let mut response = Response::new(Body::from("the quota is used up"));
        *response.status_mut() = ppio::http::StatusCode::TOO_MANY_REQUESTS;
        response
    }
}

mod own_events {
    use super::{Body, Response};

    /// Events whose data is not JSON.
    #[ppio::entrypoint(config = crate::support::config())]
    async fn agent(_request: ppio::Value) -> Response {
        let body = Body::new(http_body_util::Full::new(ppio::bytes::Bytes::from(
            "data: \"a\n\ndata: b\"c\n\ndata: \"d\"\n\n\n",
        )));
        let mut response = Response::new(body);
        let content_type = ppio::http::HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert("content-type", content_type);
        for cookie in ["a=1", "b=2"] {
            let cookie = ppio::http::HeaderValue::from_static(cookie);
            response.headers_mut().append("set-cookie", cookie);
        }
        response
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_response_of_the_agent_becomes_an_openai_error() {
    let agent = Agent::start_module(&format!("{}::own_errors", module_path!())).await;
    for stream in [true, false] {
        let answer = agent.post(PATH, &request("hi", stream)).await;
        assert_eq!(answer.status(), 429);
        let body = answer.json().await;
        assert_eq!(body["error"]["message"], "the quota is used up", "{body}");
        assert_eq!(body["error"]["type"], "rate_limit_error");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_agents_own_response_need_not_be_json() {
    let agent = Agent::start_module(&format!("{}::own_events", module_path!())).await;
    let chunks = chunks(agent.address, &request("hi", true)).await;
    let text: String = deltas(&chunks)
        .iter()
        .filter_map(|delta| delta["content"].as_str())
        .collect();
    assert_eq!(text, "\"ab\"cd");
    assert_eq!(
        chunks.last().unwrap()["choices"][0]["finish_reason"],
        "stop"
    );

    // The headers of the agent's response are kept.
    let answer = agent.post(PATH, &request("hi", false)).await;
    assert_eq!(answer.status(), 200);
    let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
}
