use std::time::Duration;

use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use ppio_test_support::{AgentProcess, call};
use serde_json::json;

/// Starts the example with an MCP tool and an A2A agent at these URLs.
fn agent_of(tool: &str, agent: &str) -> AgentProcess {
    AgentProcess::example("a2a-mcp")
        .env("MCP_URL", format!("{tool}/mcp"))
        .env("AGENT_URL", agent)
        .start()
}

/// Runs two processes: the example `chat` is both the tool and the agent.
#[tokio::test]
async fn a_tool_and_an_agent_are_called() {
    let peer = AgentProcess::start("chat");
    let agent = agent_of(&peer.url(), &peer.url());
    let items = call::invoke(&agent, &json!({ "prompt": "Hello" }))
        .await
        .items()
        .await;
    let expected = [
        json!({ "type": "tool_call_start", "id": "facts", "name": "chat" }),
        json!({ "type": "tool_call_arguments", "id": "facts", "delta": "{\"prompt\":\"Hello\"}" }),
        json!({ "type": "tool_call_end", "id": "facts" }),
        json!({ "type": "tool_result", "id": "facts", "result": "You said: Hello" }),
        json!({ "type": "step_start", "name": "ask the agent" }),
        json!({ "type": "step_end", "name": "ask the agent" }),
        json!({ "type": "text_delta", "text": "You said: Hello\n\nFacts: You said: Hello" }),
    ];
    assert_eq!(items, expected);
}

#[tokio::test]
async fn an_agent_that_requires_input_is_an_error() {
    let peer = AgentProcess::start("chat");
    let agent = agent_of(&peer.url(), &peer.url());
    let items = call::invoke(&agent, &json!({ "prompt": "Send a mail." }))
        .await
        .items()
        .await;
    let error = items.last().unwrap();
    assert_eq!(error["error_type"], "PeerError", "{items:?}");
    assert!(
        error["error"].as_str().unwrap().contains("needs an answer"),
        "{error}"
    );
}

#[tokio::test]
async fn an_unreachable_peer_is_an_error_that_names_the_setting() {
    // The platform is dropped at the end of this statement, so nothing listens at the URL.
    let url = ScriptedPlatform::start().await.url();
    let agent = agent_of(&url, &url);
    let answer = call::invoke(&agent, &json!({ "prompt": "Hello" })).await;
    let answer = answer.text().await;
    assert!(answer.contains("check MCP_URL"), "{answer}");

    let peer = AgentProcess::start("chat");
    let agent = agent_of(&peer.url(), &url);
    let items = call::invoke(&agent, &json!({ "prompt": "Hello" }))
        .await
        .items()
        .await;
    let error = items.last().unwrap()["error"].as_str().unwrap();
    assert!(error.contains("check AGENT_URL"), "{error}");
}

#[tokio::test]
async fn a_disconnected_caller_cancels_the_call_of_the_agent() {
    const CARD: &str = "GET /.well-known/agent-card.json";
    let tool = AgentProcess::start("chat");
    let peer = ScriptedPlatform::start().await;
    peer.always(CARD, Reply::nothing().hang());
    let agent = agent_of(&tool.url(), &peer.url());
    let socket = call::begin(&agent, &json!({ "prompt": "Hello" })).await;
    let is_called = |peer: &ScriptedPlatform| peer.count(CARD) == 1;
    peer.eventually("the call of the agent", is_called).await;
    drop(socket);
    let left = |peer: &ScriptedPlatform| peer.open_connections() == 0;
    peer.eventually("the agent disconnected", left).await;
}

#[tokio::test]
async fn a_missing_setting_is_a_start_error_that_names_it() {
    let mut agent = AgentProcess::example("a2a-mcp")
        .env_remove("MCP_URL")
        .spawn();
    assert_eq!(agent.wait(Duration::from_secs(20)).code(), Some(1));
    let log = agent.stderr();
    assert!(log.contains("MCP_URL is not set; example:"), "{log}");
}
