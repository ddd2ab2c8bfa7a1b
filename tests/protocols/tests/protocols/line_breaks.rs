//! Checks that no event contains a character at which the line iterators of several languages end a
//! line, unlike the standard of event streams.

use futures_util::stream;
use ppio::{AgentRuntimeApp, ChatEvent, Error, InvocationRequest, Sse};
use serde_json::{Value, json};

use crate::support::{Agent, config};

const BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

fn breaks(text: &str) -> String {
    BREAKS
        .map(|character| format!("{text}{character}"))
        .concat()
}

async fn agent() -> Agent {
    let app = AgentRuntimeApp::builder()
        .entrypoint(|_: InvocationRequest| async {
            let mut events = vec![ChatEvent::reasoning(breaks("think"))];
            let arguments = json!({"city": breaks("Paris")});
            events.extend(ChatEvent::tool_call(breaks("call"), "tool", &arguments));
            events.extend([
                ChatEvent::text(breaks("text")),
                ChatEvent::data("data", json!({"key": breaks("value")})),
                ChatEvent::Interrupt {
                    id: breaks("interrupt"),
                    reason: breaks("reason"),
                    message: Some(breaks("message")),
                    tool_call_id: None,
                    response_schema: None,
                },
            ]);
            Sse(stream::iter(events.into_iter().map(Ok::<_, Error>)))
        })
        .config(config())
        .build();
    Agent::start(app.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_contains_a_unicode_line_break() {
    let agent = agent().await;
    let user = json!({"role": "user", "content": "hi"});
    let tool = json!({"name": "tool", "parameters": {"type": "object"}});
    let requests: [(&str, Value); 7] = [
        (
            "/v1/chat/completions",
            json!({
                "model": breaks("m"), "messages": [user], "stream": true,
                "tools": [{"type": "function", "function": tool}],
            }),
        ),
        (
            "/v1/responses",
            json!({
                "model": breaks("m"), "input": "hi", "stream": true,
                "tools": [{"type": "function", "name": "tool", "parameters": {}}],
            }),
        ),
        (
            "/ag-ui",
            json!({
                "threadId": breaks("t"), "runId": breaks("r"), "state": {}, "tools": [],
                "messages": [{"id": "m", "role": "user", "content": "hi"}], "context": [],
            }),
        ),
        (
            "/api/chat",
            json!({
                "id": breaks("c"), "trigger": "submit-message",
                "messages": [{"id": "m", "role": "user", "parts": [{"type": "text", "text": "hi"}]}],
            }),
        ),
        (
            "/a2a",
            json!({
                "jsonrpc": "2.0", "id": breaks("r"), "method": "SendStreamingMessage",
                "params": {"message": {
                    "messageId": "m", "role": "ROLE_USER", "contextId": breaks("c"),
                    "parts": [{"text": "hi"}],
                }},
            }),
        ),
        (
            "/a2a/message:stream",
            json!({"message": {
                "messageId": "m", "role": "ROLE_USER", "contextId": breaks("c"),
                "parts": [{"text": breaks("hi")}],
            }}),
        ),
        (
            "/mcp",
            json!({
                "jsonrpc": "2.0", "id": breaks("r"), "method": "tools/call",
                "params": {
                    "name": "agent", "arguments": {"prompt": "hi"},
                    "_meta": {"progressToken": breaks("p")},
                },
            }),
        ),
    ];
    let accept = [("accept", "application/json, text/event-stream")];
    for (path, request) in requests {
        let answer = agent
            .send("POST", path, &accept, &request.to_string())
            .await;
        assert_eq!(answer.status(), 200, "{path}");
        let content_type = answer.headers()["content-type"].clone();
        let stream = answer.text().await;
        assert!(
            content_type.as_bytes().starts_with(b"text/event-stream"),
            "{path}: {stream}"
        );
        assert!(stream.contains("text"), "{path}: {stream}");
        for event in stream.split("\n\n") {
            assert!(!event.contains(BREAKS), "{path}: {event:?}");
        }
    }
}
