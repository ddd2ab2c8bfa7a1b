//! Checks which protocols are served.

use std::collections::{BTreeMap, BTreeSet};

use ppio::{AgentRuntimeApp, Protocol, Value};

use crate::support::{Agent, config};

async fn agent(protocols: &[Protocol]) -> Agent {
    let app = AgentRuntimeApp::builder()
        .entrypoint(|request: Value| async move { request })
        .config(config().protocols(protocols.iter().copied()))
        .build();
    Agent::start(app.unwrap()).await
}

#[tokio::test]
async fn only_the_protocols_that_are_switched_on_are_served() {
    let completions = "/v1/chat/completions";
    let request = serde_json::json!({"messages": [{"role": "user", "content": "hi"}]});
    let mcp = agent(&[Protocol::Mcp]).await;
    let answer = mcp.post(completions, &request).await;
    answer.error(404, "NotFound").await;
    let openai = agent(&[Protocol::OpenAi]).await;
    let answer = openai.post(completions, &request).await;
    assert_eq!(answer.status(), 200);
    let index = openai.send("GET", "/", &[], "").await.json().await;
    assert_eq!(index["protocols"], serde_json::json!(["openai"]));
}

#[tokio::test]
async fn the_openapi_document_lists_the_methods_of_each_path() {
    let agent = agent(&Protocol::ALL).await;
    let mut document = agent
        .send("GET", "/openapi.json", &[], "")
        .await
        .json()
        .await;
    let mut protocols = BTreeSet::new();
    let mut found = BTreeMap::new();
    for (template, operations) in document["paths"].as_object_mut().unwrap() {
        let operations = operations.as_object_mut().unwrap();
        operations.remove("parameters");
        let tag = |operation: &Value| operation["tags"][0].as_str().unwrap().parse::<Protocol>();
        let Some(Ok(protocol)) = operations.values().next().map(tag) else {
            continue;
        };
        protocols.insert(protocol);
        let path = template.replace("{id}", "a-1").replace("{config}", "b-1");
        let answer = agent.send("OPTIONS", &path, &[], "").await;
        let allow = answer.headers()["allow"].to_str().unwrap();
        let allow = allow.split(", ").map(str::to_lowercase);
        let allow = allow.filter(|method| method != "head" && method != "options");
        let (allow, methods) = (allow.collect::<Vec<_>>(), operations.keys().cloned());
        let mut methods = methods.collect::<Vec<_>>();
        methods.sort_by_key(|method| allow.iter().position(|allowed| allowed == method));
        assert_eq!(methods, allow, "{path}");
        found.insert(template.clone(), methods);
    }
    let served = Protocol::ALL.into_iter();
    let served = served.filter(|protocol| *protocol != Protocol::WebSocket);
    assert_eq!(protocols, served.collect());
    // This path is served but always answers with an error.
    assert_eq!(found["/a2a/extendedAgentCard"], ["get"]);
}

#[tokio::test]
async fn unusual_path_spellings_have_the_expected_methods() {
    let agent = agent(&Protocol::ALL).await;
    for (path, allow) in [
        ("/a2a/", Some("POST, OPTIONS")),
        ("/v1/models/", Some("GET, HEAD, OPTIONS")),
        ("/v1/responses/", Some("POST, OPTIONS")),
        ("/v1/responses/resp_a%2Fb", Some("GET, DELETE, OPTIONS")),
        ("/a2a/tasks/a:b", Some("GET, OPTIONS")),
        ("/a2a/tasks/a:b:cancel", Some("POST, OPTIONS")),
        ("/a2a/tasks/", None),
        ("/a2a/tasks/a/b", None),
        ("/a2a/tasks//pushNotificationConfigs", None),
        ("/a2a/tasks/a/pushNotificationConfigs/b/c", None),
        ("/v1/chat/completions/", None),
        ("/v1/responses//cancel", None),
        ("/v1/responses/a/output_items", None),
        ("/v1/models/a/b", None),
        ("/api/chat//stream", None),
        ("/mcp/", None),
        ("/ag-ui/", None),
    ] {
        let answer = agent.send("OPTIONS", path, &[], "").await;
        let found = answer.headers().get("allow");
        assert_eq!(found.map(|value| value.to_str().unwrap()), allow, "{path}");
    }
}
