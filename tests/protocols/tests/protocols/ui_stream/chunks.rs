//! The mapping of chat events to chunks of the message.

use ppio::{Value, json};

use super::{of_type, post, protocol_agent, request, run};
use crate::support::{Agent, events};

fn texts(id: &str, deltas: &[&str]) -> Vec<Value> {
    parts("text", id, deltas)
}

fn parts(kind: &str, id: &str, deltas: &[&str]) -> Vec<Value> {
    let deltas = deltas
        .iter()
        .map(|delta| json!({"type": format!("{kind}-delta"), "id": id, "delta": delta}));
    let start = json!({"type": format!("{kind}-start"), "id": id});
    let end = json!({"type": format!("{kind}-end"), "id": id});
    [start].into_iter().chain(deltas).chain([end]).collect()
}

fn call(id: &str, dynamic: bool) -> Vec<Value> {
    let mut start = json!({
        "type": "tool-input-start", "toolCallId": id, "toolName": "get_weather",
    });
    let mut available = json!({
        "type": "tool-input-available", "toolCallId": id, "toolName": "get_weather",
        "input": {"city": "Paris"},
    });
    if dynamic {
        start["dynamic"] = json!(true);
        available["dynamic"] = json!(true);
    }
    let delta = json!({
        "type": "tool-input-delta", "toolCallId": id, "inputTextDelta": r#"{"city":"Paris"}"#,
    });
    vec![start, delta, available]
}

fn one(chunk: Value) -> Vec<Value> {
    vec![chunk]
}

fn finish(reason: &str) -> Vec<Value> {
    vec![
        json!({"type": "finish-step"}),
        json!({"type": "finish", "finishReason": reason}),
    ]
}

fn start_step() -> Vec<Value> {
    one(json!({"type": "start-step"}))
}

/// Runs the agent with each request and checks the chunks after the start of the message.
async fn assert_chunks<const N: usize>(cases: [(Value, Vec<Vec<Value>>); N]) {
    let agent = protocol_agent();
    for (request, expected) in cases {
        let chunks = run(agent.addr(), &request).await;
        assert_eq!(chunks[0]["type"], "start");
        assert_eq!(chunks[1..], expected.concat(), "{request}");
    }
}

fn with(prompt: &str, more: &Value) -> Value {
    let mut request = request("c", prompt);
    let members = request.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn reasoning_tools_and_usage() {
    let output = json!({
        "type": "tool-output-available", "toolCallId": "call-1", "output": {"degrees": 20},
        "providerExecuted": true,
    });
    let usage = json!({
        "type": "finish", "finishReason": "stop",
        "messageMetadata": {"usage": {"inputTokens": 12, "outputTokens": 7, "totalTokens": 19}},
    });
    let tools = json!({"tools": [{"name": "get_weather"}]});
    assert_chunks([
        (
            request("c", "weather"),
            vec![
                start_step(),
                parts("reasoning", "part-1", &["The user wants ", "the weather."]),
                call("call-1", true),
                one(output),
                texts("part-2", &["It is ", "20 degrees."]),
                vec![json!({"type": "finish-step"}), usage],
            ],
        ),
        (
            with("tool", &tools),
            vec![start_step(), call("call-2", false), finish("tool-calls")],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_sources_state_and_data() {
    let step =
        |name: &str| one(json!({"type": "data-step", "data": {"name": name}, "transient": true}));
    let source = json!({
        "type": "source-url", "sourceId": "s1", "url": "https://example.com/a", "title": "A",
    });
    let state = json!({"type": "data-state", "id": "state", "data": {"a": 1}});
    let delta = json!({
        "type": "data-state-delta", "data": [{"op": "add", "path": "/seen", "value": true}],
    });
    assert_chunks([
        (
            request("c", "steps"),
            vec![
                start_step(),
                step("search"),
                one(source),
                one(json!({"type": "finish-step"})),
                start_step(),
                step("write"),
                one(json!({"type": "data-progress", "data": {"percent": 50}})),
                texts("part-1", &["done"]),
                finish("stop"),
            ],
        ),
        (
            with("state", &json!({"state": {"a": 1}})),
            vec![
                start_step(),
                vec![state, delta],
                texts("part-1", &["changed"]),
                finish("stop"),
            ],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_is_an_approval() {
    let input = json!({
        "interruptId": "interrupt-1", "reason": "approval", "message": "May I send the mail?",
        "responseSchema": {
            "type": "object",
            "properties": {"approved": {"type": "boolean"}},
            "required": ["approved"],
        },
    });
    let call = json!({
        "type": "tool-input-available", "toolCallId": "interrupt-1", "toolName": "approval",
        "dynamic": true, "input": input,
    });
    let approval = json!({
        "type": "tool-approval-request", "toolCallId": "interrupt-1",
        "approvalId": "interrupt-1", "reason": "May I send the mail?",
    });
    let decided = |approved: bool| {
        let mut request = request("c", "approve");
        let message = json!({"id": "a1", "role": "assistant", "parts": [
            {"type": "step-start"},
            {"type": "text", "text": "May I?"},
            {
                "type": "dynamic-tool", "toolName": "approval", "toolCallId": "interrupt-1",
                "state": "approval-responded", "input": input,
                "approval": {"id": "interrupt-1", "approved": approved},
            },
        ]});
        request["messages"].as_array_mut().unwrap().push(message);
        request
    };
    let agent = protocol_agent();
    let chunks = run(agent.addr(), &request("c", "approve")).await;
    let expected = [
        start_step(),
        texts("part-1", &["May I?"]),
        vec![call, approval],
        finish("tool-calls"),
    ];
    assert_eq!(chunks[1..], expected.concat());
    for (approved, closed) in [
        (
            true,
            json!({
                "type": "tool-output-available", "toolCallId": "interrupt-1",
                "output": {"approved": true}, "providerExecuted": true,
            }),
        ),
        (
            false,
            json!({"type": "tool-output-denied", "toolCallId": "interrupt-1"}),
        ),
    ] {
        let answer = post(agent.addr(), &[], &decided(approved)).await;
        let chunks: Vec<Value> = events(&answer.text().await)
            .iter()
            .filter_map(|(_, chunk)| serde_json::from_str(chunk).ok())
            .collect();
        let text = format!("Decided: {}.", json!({"approved": approved}));
        let expected = [
            vec![json!({"type": "start", "messageId": "a1"}), closed],
            start_step(),
            texts("part-1", &[&text]),
            finish("stop"),
        ];
        assert_eq!(chunks, expected.concat());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_of_a_tool_call() {
    let agent = Agent::start_module(crate::mailing::MODULE).await;
    let chunks = run(agent.address, &request("c", "go")).await;
    let approval = json!({
        "type": "tool-approval-request", "approvalId": "i1", "toolCallId": "mail-1",
    });
    assert_eq!(of_type(&chunks, "tool-approval-request"), [&approval]);
    assert_eq!(of_type(&chunks, "tool-input-available").len(), 1);
    let mut decided = request("c", "go");
    let message = json!({"id": "a1", "role": "assistant", "parts": [
        {"type": "step-start"},
        {
            "type": "dynamic-tool", "toolName": "mail", "toolCallId": "mail-1",
            "state": "approval-responded", "input": {},
            "approval": {"id": "i1", "approved": true},
        },
    ]});
    decided["messages"].as_array_mut().unwrap().push(message);
    let answer = post(agent.address, &[], &decided).await.text().await;
    let chunks: Vec<Value> = events(&answer)
        .iter()
        .filter_map(|(_, chunk)| serde_json::from_str(chunk).ok())
        .collect();
    let output = json!({
        "type": "tool-output-available", "toolCallId": "mail-1", "output": "sent",
        "providerExecuted": true,
    });
    let start = json!({"type": "start", "messageId": "a1"});
    let expected = [vec![start], start_step(), vec![output], finish("stop")];
    assert_eq!(chunks, expected.concat());
}
