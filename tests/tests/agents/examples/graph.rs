use std::time::Duration;

use ppio_test_support::model_endpoint::ModelEndpoint;
use ppio_test_support::scripted_platform::Reply;
use ppio_test_support::{AgentProcess, call, eventually};
use serde_json::{Value, json};

/// Returns a complete answer of a model.
fn answer(text: &str) -> Reply {
    let message = json!({ "role": "assistant", "content": text });
    let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
    let answer = json!({
        "id": "c-1", "object": "chat.completion", "created": 1, "model": "small", "choices": [choice],
        "usage": { "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10 },
    });
    Reply::json(200, &answer)
}

async fn start() -> (ModelEndpoint, AgentProcess) {
    let endpoint = ModelEndpoint::start().await;
    let agent = endpoint.configure(AgentProcess::example("graph")).start();
    (endpoint, agent)
}

/// Returns the names of the steps of an answer, and its text.
fn steps(items: &[Value]) -> (Vec<&str>, String) {
    let of_type = |kind: &'static str| items.iter().filter(move |item| item["type"] == kind);
    let names: Vec<_> = of_type("step_start")
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    let ended: Vec<_> = of_type("step_end")
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ended);
    let text = of_type("text_delta")
        .map(|item| item["text"].as_str().unwrap())
        .collect();
    (names, text)
}

#[tokio::test]
async fn the_review_selects_the_next_step_and_each_step_is_an_event() {
    let (endpoint, agent) = start().await;
    let reviewed = ["draft", "review", "draft", "review", "publish"];
    let given_up = [
        "draft", "review", "draft", "review", "draft", "review", "publish",
    ];
    for (answers, names, text) in [
        (vec!["a text", "OK."], &reviewed[2..], "a text"),
        (
            vec!["a text", "too short", "a long text", "OK"],
            &reviewed[..],
            "a long text",
        ),
        (vec!["a", "bad", "b", "bad", "c", "bad"], &given_up[..], "c"),
    ] {
        let calls = answers.len();
        let before = endpoint.requests().len();
        for text in answers {
            endpoint.script(answer(text));
        }
        let items = call::invoke(&agent, &json!({ "prompt": "tea" }))
            .await
            .items()
            .await;
        assert_eq!(
            steps(&items),
            (names.to_vec(), text.to_owned()),
            "{items:?}"
        );
        assert_eq!(endpoint.requests().len() - before, calls);
    }
    let improving = endpoint.requests()[4].json()["messages"].to_string();
    for part in ["tea", "a text", "too short"] {
        assert!(improving.contains(part), "{improving}");
    }
}

#[tokio::test]
async fn steps_are_ag_ui_events() {
    let (endpoint, agent) = start().await;
    endpoint.script(answer("a text"));
    endpoint.script(answer("OK"));
    let input = json!({
        "threadId": "t1", "runId": "r1",
        "messages": [{ "id": "m1", "role": "user", "content": "tea" }],
    });
    let headers = [("content-type", "application/json")];
    let answer = call::send(&agent, "POST", "/ag-ui", &headers, input.to_string()).await;
    let events = answer.text().await;
    assert_eq!(events.matches("STEP_STARTED").count(), 3, "{events}");
    assert_eq!(events.matches("STEP_FINISHED").count(), 3, "{events}");
}

#[tokio::test]
async fn a_failed_task_is_an_error_with_a_remedy() {
    let (endpoint, agent) = start().await;
    endpoint.script(Reply::json(
        401,
        &json!({ "error": { "message": "sk-secret is bad" } }),
    ));
    let answer = call::invoke(&agent, &json!({ "prompt": "tea" })).await;
    let items = answer.items().await;
    assert_eq!(items[0], json!({ "type": "step_start", "name": "draft" }));
    assert_eq!(items[1]["error_type"], "TaskFailed", "{items:?}");
    let error = items[1]["error"].as_str().unwrap();
    assert!(error.contains("check the API key"), "{error}");
    let answer = call::invoke(&agent, &json!({ "prompt": " " })).await;
    let error = answer.error(400, "BadRequest").await;
    assert!(error.contains("send a topic"), "{error}");
    // The provider's original text is only logged.
    let logged = || agent.stderr().contains("the model failed");
    eventually("the log line", logged).await;
}

#[tokio::test]
async fn a_disconnected_caller_cancels_the_model_request() {
    let (endpoint, agent) = start().await;
    endpoint.script(Reply::nothing().hang());
    let mut answer = call::invoke(&agent, &json!({ "prompt": "tea" })).await;
    assert_eq!(answer.next_items().await.unwrap()[0]["name"], "draft");
    drop(answer);
    endpoint.eventually_left().await;
}

#[tokio::test]
async fn a_missing_setting_is_a_start_error_that_names_it() {
    let mut agent = AgentProcess::example("graph")
        .env_remove("OPENAI_BASE_URL")
        .spawn();
    assert_eq!(agent.wait(Duration::from_secs(20)).code(), Some(1));
    let log = agent.stderr();
    assert!(
        log.contains("OPENAI_BASE_URL is not set; example:"),
        "{log}"
    );
}
