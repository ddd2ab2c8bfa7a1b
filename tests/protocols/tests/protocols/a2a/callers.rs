//! The callers that have access to a task.

use ppio::AgentRuntimeApp;
use serde_json::{Value, json};

use super::{call, code, message, result};
use crate::support::{Agent, config};

const SESSION: &str = "x-amzn-bedrock-agentcore-runtime-session-id";

async fn echoing() -> Agent {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|request: ppio::InvocationRequest| async move { request.prompt })
        .build();
    Agent::start(app.unwrap()).await
}

/// Callers that cannot be distinguished need the id of a task, so no request may list their tasks.
#[tokio::test]
async fn anonymous_callers_cannot_list_tasks() {
    let agent = echoing().await;
    let mut secret = message("a secret");
    secret["message"]["contextId"] = "c1".into();
    let task = result(&agent, "SendMessage", &secret).await["task"].take();
    for params in [
        json!({}),
        json!({"includeArtifacts": true, "historyLength": 100}),
        json!({"contextId": "c1"}),
        json!({"contextId": task["contextId"], "status": "TASK_STATE_COMPLETED"}),
    ] {
        let body = call("ListTasks", &params).to_string();
        let answer = agent.send("POST", "/a2a", &[], &body).await;
        assert_eq!(answer.status(), 200);
        let answer = answer.json().await;
        assert_eq!(answer["error"]["code"], -32600, "{params}: {answer}");
        let text = answer["error"]["message"].as_str().unwrap();
        assert!(text.contains("PPIO_AGENT_LIST_ANONYMOUS_RUNS"), "{text}");
        let reason = &answer["error"]["data"][0]["reason"];
        assert_eq!(reason, "ANONYMOUS_LIST");
    }
    for query in [
        "",
        "?includeArtifacts=true&historyLength=100",
        "?contextId=c1",
    ] {
        let path = format!("/a2a/tasks{query}");
        let answer = agent.send("GET", &path, &[], "").await;
        assert_eq!(answer.status(), 403, "{query}");
        let error = answer.json().await["error"].take();
        assert_eq!(error["status"], "PERMISSION_DENIED", "{error}");
        assert_eq!(error["details"][0]["reason"], "ANONYMOUS_LIST");
    }
    // The id alone gives access.
    let kept = result(&agent, "GetTask", &json!({"id": task["id"]})).await;
    assert_eq!(kept["artifacts"], task["artifacts"]);
}

#[tokio::test]
async fn a_caller_lists_only_its_own_tasks() {
    let agent = echoing().await;
    let callers = [
        &[("authorization", "Bearer a")][..],
        &[("authorization", "Bearer b")],
        &[(SESSION, "s")],
        &[(SESSION, "t")],
    ];
    let mut ids = Vec::new();
    for headers in callers {
        let body = call("SendMessage", &message("hi")).to_string();
        let answer = agent.send("POST", "/a2a", headers, &body).await;
        ids.push(answer.json().await["result"]["task"]["id"].take());
    }
    result(&agent, "SendMessage", &message("anonymous")).await;
    for (headers, id) in callers.into_iter().zip(&ids) {
        let body = call("ListTasks", &json!({})).to_string();
        let answer = agent.send("POST", "/a2a", headers, &body).await;
        let list = answer.json().await["result"]["tasks"].take();
        let list: Vec<&Value> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["id"])
            .collect();
        assert_eq!(list, [id], "{headers:?}");
    }
    // A caller with other credentials cannot find the task by its id.
    assert_eq!(
        code(&agent, "GetTask", &json!({"id": ids[0]})).await,
        -32001
    );
}

/// Ids that give access come from the operating system, not from a generator that can be seeded.
#[tokio::test]
async fn ids_do_not_depend_on_a_seeded_generator() {
    let agent = echoing().await;
    let mut ids = std::collections::HashSet::new();
    for _ in 0..2 {
        // Seeding takes effect because the agent runs in this thread.
        fastrand::seed(7);
        let answer = agent
            .post("/a2a", &call("SendMessage", &message("hi")))
            .await;
        let run = answer.headers()["x-request-id"].to_str().unwrap();
        ids.insert(run.to_owned());
        let task = answer.json().await["result"]["task"].take();
        let config = json!({"taskId": task["id"], "url": "https://example.com/"});
        let config = result(&agent, "CreateTaskPushNotificationConfig", &config).await;
        for id in [&task["id"], &task["contextId"], &config["id"]] {
            ids.insert(id.as_str().unwrap().to_owned());
        }
        let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "a", "version": "1"},
        }});
        let answer = agent.post("/mcp", &initialize).await;
        let session = answer.headers()["mcp-session-id"].to_str().unwrap();
        ids.insert(session.to_owned());
        let request = json!({"model": "a", "input": "hi"});
        let response = agent.post("/v1/responses", &request).await.json().await;
        ids.insert(response["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 2 * 6, "{ids:?}");
}
