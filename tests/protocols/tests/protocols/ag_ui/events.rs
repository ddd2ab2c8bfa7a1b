//! The mapping of chat events to events of the run.

use ppio::{Value, json};

use super::{input, protocol_agent, run};
use crate::support::Agent;

/// Returns the events of a text message with these deltas.
fn texts(id: &str, deltas: &[&str]) -> Vec<Value> {
    let start = json!({"type": "TEXT_MESSAGE_START", "messageId": id, "role": "assistant"});
    let end = json!({"type": "TEXT_MESSAGE_END", "messageId": id});
    let contents = deltas
        .iter()
        .map(|delta| json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": id, "delta": delta}));
    [start].into_iter().chain(contents).chain([end]).collect()
}

fn call(id: &str, parent: &str) -> Vec<Value> {
    vec![
        json!({
            "type": "TOOL_CALL_START", "toolCallId": id, "toolCallName": "get_weather",
            "parentMessageId": parent,
        }),
        json!({"type": "TOOL_CALL_ARGS", "toolCallId": id, "delta": r#"{"city":"Paris"}"#}),
        json!({"type": "TOOL_CALL_END", "toolCallId": id}),
    ]
}

fn finished(run_id: &str, outcome: &Value) -> Vec<Value> {
    vec![json!({
        "type": "RUN_FINISHED", "threadId": "t", "runId": run_id, "outcome": outcome,
    })]
}

fn success(run_id: &str) -> Vec<Value> {
    finished(run_id, &json!({"type": "success"}))
}

/// Returns the input of a prompt with additional members.
fn with(run_id: &str, prompt: &str, more: &Value) -> Value {
    let mut input = input(run_id, prompt);
    let members = input.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    input
}

/// Runs the agent with each input and checks the events after the first.
async fn assert_runs<const N: usize>(cases: [(Value, Vec<Vec<Value>>); N]) {
    let agent = protocol_agent();
    for (input, expected) in cases {
        let events = run(agent.addr(), &input).await;
        let started = json!({
            "type": "RUN_STARTED", "threadId": "t", "runId": input["runId"],
            "protocolVersion": "1.0",
        });
        assert_eq!(events[0], started, "{input}");
        assert_eq!(events[1..], expected.concat(), "{input}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reasoning_and_a_tool_of_the_agent() {
    let content = |delta: &str| json!({"type": "REASONING_MESSAGE_CONTENT", "messageId": "r-1", "delta": delta});
    let reasoning = vec![
        json!({"type": "REASONING_START", "messageId": "r-1"}),
        json!({"type": "REASONING_MESSAGE_START", "messageId": "r-1", "role": "reasoning"}),
        content("The user wants "),
        content("the weather."),
        json!({"type": "REASONING_MESSAGE_END", "messageId": "r-1"}),
        json!({"type": "REASONING_END", "messageId": "r-1"}),
    ];
    let result = vec![json!({
        "type": "TOOL_CALL_RESULT", "messageId": "r-3", "toolCallId": "call-1",
        "content": r#"{"degrees":20}"#, "role": "tool",
    })];
    let end = vec![json!({
        "type": "RUN_FINISHED", "threadId": "t", "runId": "r", "outcome": {"type": "success"},
        "usage": [{"inputTokens": 12, "outputTokens": 7}],
        "metadata": {"finishReason": "stop"},
    })];
    let answer = texts("r-4", &["It is ", "20 degrees."]);
    let expected = vec![reasoning, call("call-1", "r-2"), result, answer, end];
    assert_runs([(input("r", "weather"), expected)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_of_the_caller() {
    let tools = json!([{
        "name": "get_weather", "description": "The weather", "parameters": {"type": "object"},
    }]);
    let answered = json!([
        {"id": "u1", "role": "user", "content": "tool"},
        {"id": "a1", "role": "assistant", "toolCalls": [{
            "id": "call-2", "type": "function",
            "function": {"name": "get_weather", "arguments": "{}"},
        }]},
        {"id": "t1", "role": "tool", "toolCallId": "call-2", "content": "sunny"},
    ]);
    let pending = json!({"type": "success", "pendingToolCallIds": ["call-2"]});
    assert_runs([
        (
            with("r", "tool", &json!({"tools": tools})),
            vec![call("call-2", "r-1"), finished("r", &pending)],
        ),
        (
            with("s", "tool", &json!({"tools": tools, "messages": answered})),
            vec![texts("s-1", &["The tool said sunny."]), success("s")],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_state_and_data() {
    let [start, delta, end]: [Value; 3] = texts("r-1", &["done"]).try_into().unwrap();
    let steps = vec![
        json!({"type": "STEP_STARTED", "stepName": "search"}),
        json!({
            "type": "CUSTOM", "name": "source",
            "value": {"id": "s1", "url": "https://example.com/a", "title": "A"},
        }),
        json!({"type": "STEP_FINISHED", "stepName": "search"}),
        json!({"type": "STEP_STARTED", "stepName": "write"}),
        json!({"type": "CUSTOM", "name": "progress", "value": {"percent": 50}}),
        start,
        delta,
        json!({"type": "STEP_FINISHED", "stepName": "write"}),
        end,
    ];
    let state = vec![
        json!({"type": "STATE_SNAPSHOT", "snapshot": {"a": 1}}),
        json!({
            "type": "STATE_DELTA", "delta": [{"op": "add", "path": "/seen", "value": true}],
        }),
    ];
    assert_runs([
        (input("r", "steps"), vec![steps, success("r")]),
        (
            with("s", "state", &json!({"state": {"a": 1}})),
            vec![state, texts("s-1", &["changed"]), success("s")],
        ),
        (input("e", "empty"), vec![success("e")]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_and_its_responses() {
    let outcome = json!({
        "type": "interrupt",
        "interrupts": [{
            "id": "interrupt-1", "reason": "approval", "message": "May I send the mail?",
            "responseSchema": {
                "type": "object",
                "properties": {"approved": {"type": "boolean"}},
                "required": ["approved"],
            },
        }],
    });
    let resume =
        |run_id: &str, response: Value| with(run_id, "approve", &json!({"resume": [response]}));
    assert_runs([
        (
            input("r", "approve"),
            vec![texts("r-1", &["May I?"]), finished("r", &outcome)],
        ),
        (
            resume("s", json!({
                "interruptId": "interrupt-1", "status": "resolved", "payload": {"approved": true},
            })),
            vec![texts("s-1", &[r#"Decided: {"approved":true}."#]), success("s")],
        ),
        (
            resume("c", json!({"interruptId": "interrupt-1", "status": "cancelled"})),
            vec![texts("c-1", &["Nothing was decided."]), success("c")],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_of_a_tool_call() {
    let agent = Agent::start_module(crate::mailing::MODULE).await;
    let events = run(agent.address, &input("r", "go")).await;
    let interrupts = json!([{"id": "i1", "reason": "approval", "toolCallId": "mail-1"}]);
    let outcome = json!({"type": "interrupt", "interrupts": interrupts});
    assert_eq!(events.last().unwrap()["outcome"], outcome);
    let response = json!({
        "interruptId": "i1", "status": "resolved", "payload": {"approved": true},
    });
    let input = with("s", "go", &json!({"resume": [response]}));
    let events = run(agent.address, &input).await;
    let result = json!({
        "type": "TOOL_CALL_RESULT", "messageId": "s-1", "toolCallId": "mail-1",
        "content": "sent", "role": "tool",
    });
    assert_eq!(events[1..], [vec![result], success("s")].concat());
}
