//! Which protocols are served.

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
