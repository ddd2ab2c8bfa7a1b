use std::time::Duration;

use ppio_test_support::model_endpoint::{ModelEndpoint, answer, texts, tool_calls};
use ppio_test_support::scripted_platform::Reply;
use ppio_test_support::{AgentProcess, call};
use serde_json::{Value, json};

/// Starts the agent with an endpoint whose replies are scripted by the test.
async fn start() -> (ModelEndpoint, AgentProcess) {
    let endpoint = ModelEndpoint::start().await;
    let agent = endpoint
        .configure(AgentProcess::example("rig-chat"))
        .start();
    (endpoint, agent)
}

fn usage() -> Value {
    json!({ "type": "usage", "input_tokens": 7, "output_tokens": 3 })
}

fn finish() -> Value {
    json!({ "type": "finish", "reason": "stop" })
}

fn text(text: &str) -> Value {
    json!({ "type": "text_delta", "text": text })
}

#[tokio::test]
async fn tools_are_called_and_their_results_are_events() {
    let (endpoint, agent) = start().await;
    endpoint.script(tool_calls(&[
        ("call_1", "stock", &json!({ "name": "green tea" })),
        ("call_2", "price", &json!({ "name": "coffee" })),
    ]));
    endpoint.script(answer(&["There are", " 12."]));
    let items = call::invoke(&agent, &json!({ "prompt": "green tea?" }))
        .await
        .items()
        .await;
    let start = |id: &str, name: &str| json!({ "type": "tool_call_start", "id": id, "name": name });
    let arguments =
        |id: &str, delta: &str| json!({ "type": "tool_call_arguments", "id": id, "delta": delta });
    let end = |id: &str| json!({ "type": "tool_call_end", "id": id });
    let expected = [
        usage(),
        start("call_1", "stock"),
        arguments("call_1", r#"{"name":"green tea"}"#),
        end("call_1"),
        start("call_2", "price"),
        arguments("call_2", r#"{"name":"coffee"}"#),
        end("call_2"),
        json!({ "type": "tool_result", "id": "call_1", "result": 12 }),
        json!({
            "type": "tool_result", "id": "call_2", "is_error": true,
            "result": "the shop does not sell `coffee`",
        }),
        text("There are"),
        text(" 12."),
        usage(),
        finish(),
    ];
    assert_eq!(items, expected);

    let requests = endpoint.requests();
    assert_eq!(requests[0].header("authorization"), "Bearer sk-secret");
    let tools = requests[0].json()["tools"].clone();
    assert_eq!(tools[0]["function"]["name"], "stock");
    assert_eq!(tools[1]["function"]["name"], "price");
    let messages = requests[1].json()["messages"].clone();
    let roles: Vec<_> = messages
        .as_array()
        .unwrap()
        .iter()
        .map(|message| &message["role"])
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool"]);
    assert_eq!(messages[3]["tool_call_id"], "call_1");
}

/// A chat continues from the messages in the request, whichever protocol the caller uses.
#[tokio::test]
async fn an_ag_ui_conversation_is_sent_to_the_model_with_calls_and_results() {
    let (endpoint, agent) = start().await;
    endpoint.script(answer(&["4.50"]));
    let call = json!({
        "id": "call_1", "type": "function",
        "function": { "name": "stock", "arguments": "{\"name\":\"green tea\"}" },
    });
    let input = json!({
        "threadId": "t1", "runId": "r1",
        "messages": [
            { "id": "m1", "role": "user", "content": "green tea?" },
            { "id": "m2", "role": "assistant", "toolCalls": [call] },
            { "id": "m3", "role": "tool", "toolCallId": "call_1", "content": "12" },
            { "id": "m4", "role": "assistant", "content": "There are 12." },
            { "id": "m5", "role": "user", "content": "How much is it?" },
        ],
    });
    let headers = [("content-type", "application/json")];
    let answer = call::send(&agent, "POST", "/ag-ui", &headers, input.to_string()).await;
    let events = answer.text().await;
    assert!(events.contains(r#""delta":"4.50""#), "{events}");
    assert!(events.contains(r#""type":"RUN_FINISHED""#), "{events}");
    let messages = endpoint.requests()[0].json()["messages"].clone();
    let sent: Vec<_> = messages.as_array().unwrap().iter().skip(1).collect();
    assert_eq!(sent.len(), 5, "{messages}");
    assert_eq!(sent[1]["tool_calls"][0]["id"], "call_1");
    assert_eq!(sent[2]["tool_call_id"], "call_1");
    assert_eq!(
        sent[4]["content"]
            .to_string()
            .matches("How much is it?")
            .count(),
        1
    );
}

#[tokio::test]
async fn tokens_are_not_buffered_and_a_disconnect_cancels_the_model_request() {
    let (endpoint, agent) = start().await;
    endpoint.script(texts(&["first"]).hang());
    let mut answer = call::invoke(&agent, &json!({ "prompt": "hi" })).await;
    assert_eq!(answer.next_items().await, Some(vec![text("first")]));
    drop(answer);
    endpoint.eventually_left().await;
}

#[tokio::test]
async fn a_failure_of_the_model_ends_the_stream_with_an_error() {
    let (endpoint, agent) = start().await;
    let refusal = |status| {
        Reply::json(
            status,
            &json!({ "error": { "message": "sk-secret is bad" } }),
        )
    };
    for (reply, shown) in [
        (refusal(401), "check the API key"),
        (refusal(429), "over its limits"),
        (
            texts(&["half a"]).close(),
            "the connection to the model's provider failed",
        ),
        // The body ends properly, but the answer is incomplete.
        (texts(&["half a"]).end(), "is incomplete"),
    ] {
        endpoint.script(reply);
        let answer = call::invoke(&agent, &json!({ "prompt": "hi" })).await;
        let items = answer.text().await;
        assert!(items.contains(shown), "{shown}: {items}");
        assert!(!items.contains("sk-"), "{items}");
        assert!(!items.contains("finish"), "{items}");
    }
}

#[tokio::test]
async fn a_missing_setting_is_a_start_error_that_names_it() {
    let mut agent = AgentProcess::example("rig-chat")
        .env("OPENAI_BASE_URL", "http://localhost:1/v1")
        .env("OPENAI_API_KEY", "none")
        .env_remove("OPENAI_MODEL")
        .spawn();
    assert_eq!(agent.wait(Duration::from_secs(20)).code(), Some(1));
    let log = agent.stderr();
    assert!(log.contains("OPENAI_MODEL is not set; example:"), "{log}");
}
