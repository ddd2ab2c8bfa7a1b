//! Calls that take longer than a proxy waits for the next byte.

use serde_json::{Value, json};

use super::{BOTH, JSON, STATELESS, post, request, start_with, text_of};
use crate::support::events;

/// Returns a call in either generation.
fn call(is_stateless: bool, prompt: &str) -> Value {
    let mut params = json!({"name": "protocol-tests", "arguments": {"prompt": prompt}});
    if is_stateless {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
    }
    request("tools/call", &params)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_kept_open_without_a_progress_token() {
    let agent = start_with(&[("PPIO_AGENT_HEARTBEAT", "0.05")]);
    for (prompt, text, is_error) in [
        ("late 400 value", r#"{"answer":42}"#, false),
        ("slow 5 80", "0 1 2 3 4 ", false),
        ("late 400 fail-first", "no such model", true),
        ("slow-fail-later 400", "the model went away", true),
    ] {
        for is_stateless in [false, true] {
            let mut headers = Vec::new();
            if is_stateless {
                headers.extend([
                    ("mcp-protocol-version", STATELESS),
                    ("mcp-method", "tools/call"),
                    ("mcp-name", "protocol-tests"),
                ]);
            }
            let answer = post(&agent, &headers, &call(is_stateless, prompt)).await;
            assert_eq!(answer.status(), 200, "{prompt}");
            let content_type = answer.headers()["content-type"].to_str().unwrap();
            assert!(content_type.starts_with("text/event-stream"), "{prompt}");
            let stream = answer.text().await;
            assert!(
                stream.starts_with(": keep-alive\n\n: keep-alive\n\n"),
                "{stream}"
            );
            let events = events(&stream);
            assert_eq!(events.len(), 1, "{stream}");
            let response: Value = serde_json::from_str(&events[0].1).unwrap();
            assert_eq!(response["id"], 7);
            assert_eq!(text_of(&response["result"]), text, "{response}");
            assert_eq!(
                response["result"]["isError"] == true,
                is_error,
                "{response}"
            );
        }
    }
    // An answer that is ready immediately is JSON, as is every answer for a client that accepts
    // only JSON.
    let answer = post(&agent, &[], &call(false, "value")).await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    let headers = [JSON, ("accept", "application/json")];
    let body = call(false, "late 400 value").to_string();
    let answer = ppio_test_support::call::send(&agent, "POST", "/mcp", &headers, body).await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(text_of(&answer.json().await["result"]), r#"{"answer":42}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_sent_on_a_connection_that_was_kept_open() {
    let agent = start_with(&[("PPIO_AGENT_HEARTBEAT", "0.05")]);
    // The agent's stream begins late.
    let mut late = call(false, "late 300 hello");
    late["params"]["_meta"] = json!({"progressToken": "t"});
    let stream = post(&agent, &[], &late).await.text().await;
    assert!(stream.starts_with(": keep-alive\n\n"), "{stream}");
    let events = events(&stream);
    let messages: Vec<Value> = events
        .iter()
        .map(|(_, data)| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(messages[0]["params"]["message"], "Hello", "{stream}");
    assert_eq!(
        text_of(&messages.last().unwrap()["result"]),
        "Hello, world!"
    );
    // Closing the connection in the meantime cancels the call.
    let mut hanging = post(&agent, &[], &call(false, "late 60000 value")).await;
    assert!(
        hanging
            .next_text()
            .await
            .unwrap()
            .starts_with(": keep-alive")
    );
    drop(hanging);
    ppio_test_support::eventually_some("the call is cancelled", async || {
        let headers = [BOTH];
        let metrics =
            ppio_test_support::call::send(&agent, "GET", "/metrics", &headers, String::new());
        let metrics = metrics.await.text().await;
        metrics
            .contains("ppio_agent_invocations_running 0")
            .then_some(())
    })
    .await;
}
