use std::process::Command;
use std::time::Duration;

use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use ppio_test_support::{AgentLauncher, AgentProcess, call, eventually_some, example_binary};
use serde_json::{Value, json};

const ROUTE: &str = "POST /v1/chat/completions";

/// Starts the agent with an endpoint whose replies are scripted by the test.
async fn start() -> (ScriptedPlatform, AgentProcess) {
    let endpoint = ScriptedPlatform::start().await;
    let agent = configured(&endpoint.url()).start();
    (endpoint, agent)
}

fn configured(url: &str) -> AgentLauncher {
    AgentProcess::example("llm-chat")
        .env("OPENAI_BASE_URL", format!("{url}/v1"))
        .env("OPENAI_API_KEY", "sk-secret")
        .env("OPENAI_MODEL", "small")
}

/// Returns one chunk in OpenAI's format.
fn delta(delta: &Value, finish: &Value) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
    event(&json!({
        "id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "small",
        "choices": [choice],
    }))
}

fn text(text: &str) -> String {
    delta(&json!({ "content": text }), &json!(null))
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn stop() -> String {
    delta(&json!({}), &json!("stop"))
}

fn refusal(status: u16, text: &str) -> Reply {
    Reply::json(
        status,
        &json!({ "error": { "message": text, "type": "some_error" } }),
    )
}

#[tokio::test]
async fn only_the_tokens_are_streamed_in_order() {
    let (endpoint, agent) = start().await;
    let usage = json!({ "choices": [], "usage": { "total_tokens": 7 } });
    let reply = Reply::events()
        .chunk(delta(
            &json!({ "role": "assistant", "content": "" }),
            &json!(null),
        ))
        .chunk(text("Hel"))
        // One event is split into two writes, and two events share one.
        .chunk(&text("lo, 世界")[..60])
        .chunk(&text("lo, 世界")[60..])
        .chunk(text("!") + &stop())
        .chunk(event(&usage) + "data: [DONE]\n\n")
        .end();
    endpoint.script(ROUTE, reply);
    let answer = call::invoke(&agent, &json!({ "prompt": "hi" })).await;
    assert_eq!(answer.items().await, ["Hel", "lo, 世界", "!"]);
}

#[tokio::test]
async fn the_endpoint_gets_the_key_the_model_and_the_conversation() {
    let (endpoint, agent) = start().await;
    let reply = Reply::events().chunk(text("ok") + &stop() + "data: [DONE]\n\n");
    endpoint.script(ROUTE, reply.end());
    let turn = json!({
        "prompt": "and now?",
        "history": [
            { "role": "system", "content": "be brief" },
            { "role": "user", "content": "1 + 1?" },
            { "role": "assistant", "content": "2" },
        ],
    });
    assert_eq!(call::invoke(&agent, &turn).await.items().await, ["ok"]);
    let request = endpoint.requests(ROUTE).remove(0);
    assert_eq!(request.header("authorization"), "Bearer sk-secret");
    let mut messages = turn["history"].clone();
    let last = json!({ "role": "user", "content": "and now?" });
    messages.as_array_mut().unwrap().push(last);
    let expected = json!({ "model": "small", "messages": messages, "stream": true });
    assert_eq!(request.json(), expected);
}

#[tokio::test]
async fn tokens_are_not_buffered_and_a_disconnect_cancels_the_model_request() {
    let (endpoint, agent) = start().await;
    endpoint.script(ROUTE, Reply::events().chunk(text("first")).hang());
    let mut answer = call::invoke(&agent, &json!({ "prompt": "hi" })).await;
    // The endpoint sends nothing more, so the agent has not buffered the first token.
    assert_eq!(answer.next_items().await, Some(vec![json!("first")]));
    assert_eq!(endpoint.open_connections(), 1);
    drop(answer);
    let left = |endpoint: &ScriptedPlatform| endpoint.open_connections() == 0;
    endpoint
        .eventually("the agent disconnected from the model", left)
        .await;
}

#[tokio::test]
async fn a_disconnect_before_the_first_token_cancels_the_model_request() {
    let (endpoint, agent) = start().await;
    endpoint.script(ROUTE, Reply::nothing().hang());
    let prompt = json!({ "prompt": "hi" });
    let call = tokio::time::timeout(Duration::from_secs(20), async {
        tokio::select! {
            _ = call::invoke(&agent, &prompt) => panic!("the agent answered before the model"),
            () = endpoint.eventually("the call", |endpoint| endpoint.count(ROUTE) == 1) => {}
        }
    });
    call.await.unwrap();
    let left = |endpoint: &ScriptedPlatform| endpoint.open_connections() == 0;
    endpoint
        .eventually("the agent disconnected from the model", left)
        .await;
}

#[tokio::test]
async fn errors_of_the_endpoint_have_a_remedy() {
    let (endpoint, agent) = start().await;
    for (reply, status, error_type, part) in [
        (
            refusal(401, "bad key sk-s****t"),
            502,
            "ModelError",
            "check OPENAI_API_KEY",
        ),
        (
            refusal(404, "no model"),
            502,
            "ModelError",
            "check OPENAI_MODEL",
        ),
        (
            refusal(400, "too long"),
            400,
            "BadRequest",
            "the conversation: too long",
        ),
        (
            refusal(500, "boom").clone(),
            502,
            "ModelError",
            "answered 500 Internal Server Error",
        ),
        (
            Reply::body(200, "text/html", "<html>"),
            200,
            "ModelError",
            "is incomplete",
        ),
        (
            Reply::body(403, "text/html", "<html>"),
            502,
            "ModelError",
            "not follow OpenAI's API",
        ),
    ] {
        endpoint.always(ROUTE, reply);
        let answer = call::invoke(&agent, &json!({ "prompt": "hi" })).await;
        let shown = if status == 200 {
            let items = answer.items().await;
            assert_eq!(items[0]["error_type"], error_type);
            items[0]["error"].as_str().unwrap().to_owned()
        } else {
            answer.error(status, error_type).await
        };
        assert!(shown.contains(part), "{part}: {shown}");
        assert!(!shown.contains("sk-"), "{shown}");
    }
    let ping = call::get(&agent, "/ping").await.json().await;
    assert_eq!(ping["status"], "Healthy");
    // The log contains the original text of the endpoint, together with the request id.
    let line: Value = eventually_some("the log line", async || {
        let log = agent.stderr();
        let line = log.lines().find(|line| line.contains("bad key"))?;
        serde_json::from_str(line).ok()
    })
    .await;
    assert_eq!(line["message"], "invocation failed");
    assert!(line["request_id"].is_string(), "{line}");
}

#[tokio::test]
async fn a_rate_limited_model_is_a_429() {
    let (endpoint, agent) = start().await;
    let body = json!({ "error": { "message": "no quota", "code": "insufficient_quota" } });
    endpoint.always(ROUTE, Reply::json(429, &body));
    let answer = call::invoke(&agent, &json!({ "prompt": "hi" })).await;
    let text = answer.error(429, "TooManyRequests").await;
    assert!(text.contains("over its limits"), "{text}");
}

#[tokio::test]
async fn a_failed_request_is_retried() {
    let (endpoint, agent) = start().await;
    endpoint.script(ROUTE, refusal(503, "busy"));
    endpoint.script(ROUTE, Reply::events().chunk(text("ok") + &stop()).end());
    let answer = call::invoke(&agent, &json!({ "prompt": "hi" })).await;
    assert_eq!(answer.items().await, ["ok"]);
    assert_eq!(endpoint.count(ROUTE), 2);
}

#[tokio::test]
async fn an_incomplete_answer_ends_with_an_error() {
    let (endpoint, agent) = start().await;
    let begun = || Reply::events().chunk(text("half a"));
    let broken = event(&json!({ "error": { "message": "overloaded" } }));
    for (reply, shown) in [
        (begun().reset(), "is incomplete"),
        (begun().close(), "is incomplete"),
        // The body ends properly, but the answer is incomplete.
        (begun().end(), "is incomplete"),
        (begun().chunk(broken).end(), "failed during its answer"),
        (
            begun().chunk("data: {nonsense\n\n").end(),
            "not follow OpenAI's API",
        ),
    ] {
        endpoint.script(ROUTE, reply);
        let answer = call::invoke(&agent, &json!({ "prompt": "hi" })).await;
        assert_eq!(answer.status(), 200);
        let items = answer.items().await;
        assert_eq!(items.len(), 2, "{items:?}");
        assert_eq!(items[0], "half a");
        assert_eq!(items[1]["error_type"], "ModelError");
        let text = items[1]["error"].as_str().unwrap();
        assert!(text.contains(shown), "{text}");
    }
}

#[tokio::test]
async fn an_unreachable_endpoint_is_an_error() {
    // The port is free again because the endpoint has been dropped.
    let url = ScriptedPlatform::start().await.url();
    let agent = configured(&url).start();
    let answer = call::invoke(&agent, &json!({ "prompt": "hi" })).await;
    let text = answer.error(502, "ModelError").await;
    assert!(text.contains("check OPENAI_BASE_URL"), "{text}");
}

#[tokio::test]
async fn missing_certificates_are_an_error_that_names_them() {
    let agent = configured("http://localhost:1")
        .env("SSL_CERT_FILE", "/nowhere")
        .env("SSL_CERT_DIR", "/nowhere")
        .listening();
    let ping = call::get(&agent, "/ping").await.json().await;
    let message = ping["message"].as_str().unwrap();
    assert!(
        message.starts_with("no HTTP client (install ca-certificates)"),
        "{message}"
    );
}

/// A sandbox is not ready until its agent is healthy.
#[tokio::test]
async fn an_agent_without_its_settings_is_unhealthy_and_names_them() {
    for missing in ["OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL"] {
        let mut command = Command::new(example_binary("llm-chat"));
        for name in ["OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL"] {
            command.env_remove(name);
            if name != missing {
                command.env(name, "http://localhost:1/v1");
            }
        }
        let agent = AgentProcess::command(command).listening();
        let ping = call::get(&agent, "/ping").await;
        assert_eq!(ping.status(), 500);
        let ping = ping.json().await;
        let message = ping["message"].as_str().unwrap();
        assert!(
            message.starts_with(&format!("{missing} is not set; ")),
            "{message}"
        );
        let answer = call::invoke(&agent, &json!({ "prompt": "hi" })).await;
        let text = answer.error(502, "NotConfigured").await;
        assert!(text.contains(missing), "{text}");
    }
}
