//! Tests which followers of a configuration run.

use std::time::Duration;

use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::server::service::AgentService;
use crate::{AgentRuntimeApp, RuntimeConfig};

/// A receiver that refuses connections, so that notifications are sent again for over 20 s.
const URL: &str = "http://127.0.0.1:1/";

/// Creates an agent that never answers.
fn agent() -> AgentService {
    AgentRuntimeApp::builder()
        .config(RuntimeConfig::new().a2a_push_private(true))
        .entrypoint(|_: Value| std::future::pending::<Value>())
        .build()
        .unwrap()
        .into_unstarted_service()
}

async fn call(agent: &AgentService, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let request = Request::builder()
        .method(Method::POST)
        .uri("/a2a")
        .header("content-type", "application/json")
        .body(Full::from(body.to_string()))
        .unwrap();
    let answer = agent.respond(request).await.into_body().collect().await;
    let mut answer: Value = serde_json::from_slice(&answer.unwrap().to_bytes()).unwrap();
    assert_eq!(answer["error"], Value::Null, "{method}: {answer}");
    answer["result"].take()
}

/// Waits until `followers` tasks send notifications.
async fn eventually(agent: &AgentService, followers: usize) {
    let found = || {
        let tasks = agent.agent().runs.tasks().own_tasks();
        tasks
            .filter(|task| task.name == "push notifications")
            .count()
    };
    let waiting = async {
        while found() != followers {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(15), waiting).await;
    assert!(waited.is_ok(), "{} instead of {followers}", found());
}

#[tokio::test]
async fn a_configuration_has_one_follower_and_none_once_deleted() {
    let agent = agent();
    let message = json!({
        "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "a"}]},
        "configuration": {"returnImmediately": true},
    });
    let task = call(&agent, "SendMessage", message).await["task"]["id"].take();
    let create = async |id: &str| {
        let config = json!({"taskId": task, "id": id, "url": URL});
        call(&agent, "CreateTaskPushNotificationConfig", config).await;
    };
    let delete = async |id: &str| {
        let config = json!({"taskId": task, "id": id});
        call(&agent, "DeleteTaskPushNotificationConfig", config).await;
    };
    for _ in 0..50 {
        create("a").await;
    }
    eventually(&agent, 1).await;
    create("b").await;
    eventually(&agent, 2).await;
    delete("a").await;
    eventually(&agent, 1).await;
    // A deletion also ends a follower that retries the notification of the end.
    call(&agent, "CancelTask", json!({"id": task})).await;
    eventually(&agent, 1).await;
    delete("b").await;
    eventually(&agent, 0).await;
}
