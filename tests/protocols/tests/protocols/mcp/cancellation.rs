//! Cancellation, and refused calls.

use ppio_test_support::call::{Answer, invoke};
use ppio_test_support::{AgentProcess, eventually_some};
use serde_json::json;

use super::{STATELESS, post, request, start, start_with, text_of};

/// Starts a call that waits until it is cancelled, and reads its first item.
async fn hanging(agent: &AgentProcess, headers: &[(&str, &str)], id: u64) -> Answer {
    let params = json!({
        "name": "protocol-tests",
        "arguments": {"prompt": "hang"},
        "_meta": {
            "progressToken": 1,
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    });
    let mut request = request("tools/call", &params);
    request["id"] = id.into();
    if !headers.contains(&("mcp-protocol-version", STATELESS)) {
        request["params"]["_meta"] = json!({"progressToken": 1});
    }
    let mut answer = post(agent, headers, &request).await;
    let first = answer.next_items().await.unwrap();
    assert_eq!(first[0]["params"]["message"], "waiting");
    answer
}

/// Returns the number of cancelled invocations that the agent reports.
async fn cancelled(agent: &AgentProcess) -> u64 {
    let request = json!({"prompt": "cancelled"});
    let result = invoke(agent, &request).await.result().await;
    result.as_str().unwrap().parse().unwrap()
}

/// Waits until `count` invocations are cancelled: a handler is dropped only after its readers have
/// received the end.
async fn eventually_cancelled(agent: &AgentProcess, count: u64) {
    eventually_some("the invocation is cancelled", async || {
        (cancelled(agent).await == count).then_some(())
    })
    .await;
}

async fn notify_cancelled(agent: &AgentProcess, session: &str, id: u64) {
    let body = json!({
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": id, "reason": "no longer needed"},
    });
    let answer = post(agent, &[("mcp-session-id", session)], &body).await;
    assert_eq!(answer.status(), 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_cancels_the_call_of_its_session() {
    let agent = start();
    let session = [("mcp-session-id", "s-1")];
    let mut first = hanging(&agent, &session, 1).await;
    let mut second = hanging(&agent, &[("mcp-session-id", "s-2")], 1).await;
    let mut third = hanging(&agent, &session, 3).await;
    notify_cancelled(&agent, "s-1", 2).await;
    notify_cancelled(&agent, "s-1", 1).await;
    let last = first.next_items().await.unwrap();
    assert_eq!(last[0]["id"], 1);
    assert_eq!(last[0]["result"]["isError"], true);
    assert!(
        text_of(&last[0]["result"]).contains("cancelled"),
        "{last:?}"
    );
    assert!(first.next_items().await.is_none());
    eventually_cancelled(&agent, 1).await;
    notify_cancelled(&agent, "s-2", 1).await;
    assert!(second.next_items().await.is_some());
    notify_cancelled(&agent, "s-1", 3).await;
    assert!(third.next_items().await.is_some());
    eventually_cancelled(&agent, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_disconnects_cancels_its_call() {
    let agent = start();
    let version = ("mcp-protocol-version", STATELESS);
    let routed = [
        version,
        ("mcp-method", "tools/call"),
        ("mcp-name", "protocol-tests"),
    ];
    let session = [("mcp-session-id", "s-1")];
    for (at, headers) in (1..).zip([&routed[..], &session, &[]]) {
        drop(hanging(&agent, headers, 1).await);
        eventually_cancelled(&agent, at).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_an_error_with_the_status_of_the_refusal() {
    let agent = start_with(&[("PPIO_AGENT_MAX_CONCURRENCY", "1")]);
    let _hanging = hanging(&agent, &[("mcp-session-id", "s-1")], 1).await;
    for session in [&[][..], &[("mcp-session-id", "s-1")]] {
        let params = json!({"name": "protocol-tests", "arguments": {"prompt": "hello"}});
        let answer = post(&agent, session, &request("tools/call", &params)).await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "1");
        let response = answer.json().await;
        assert_eq!(response["id"], 7);
        assert_eq!(response["error"]["code"], -32603);
        assert_eq!(response["error"]["data"]["type"], "Overloaded");
    }
}
