//! Checks that no event contains a character at which the line iterators of several languages end a
//! line, unlike the standard of event streams.

use futures_util::stream;
use ppio::{AgentRuntimeApp, ChatEvent, Error, InvocationRequest, Sse};
use serde_json::{Value, json};

use crate::support::{Agent, config};

const BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

fn broken(text: &str) -> String {
    BREAKS
        .map(|character| format!("{text}{character}"))
        .concat()
}

async fn agent() -> Agent {
    let app = AgentRuntimeApp::builder()
        .entrypoint(|_: InvocationRequest| async {
            let mut events = vec![ChatEvent::reasoning(broken("think"))];
            let arguments = json!({"city": broken("Paris")});
            events.extend(ChatEvent::tool_call(broken("call"), "tool", &arguments));
            events.extend([
                ChatEvent::text(broken("text")),
                ChatEvent::data("data", json!({"key": broken("value")})),
                ChatEvent::Interrupt {
                    id: broken("interrupt"),
                    reason: broken("reason"),
                    message: Some(broken("message")),
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
async fn no_event_has_a_character_that_ends_a_line_elsewhere() {
    let agent = agent().await;
    let user = json!({"role": "user", "content": "hi"});
    let tool = json!({"name": "tool", "parameters": {"type": "object"}});
    let requests: [(&str, Value); 7] = [
        (
            "/v1/chat/completions",
            json!({
                "model": broken("m"), "messages": [user], "stream": true,
                "tools": [{"type": "function", "function": tool}],
            }),
        ),
        (
            "/v1/responses",
            json!({
                "model": broken("m"), "input": "hi", "stream": true,
                "tools": [{"type": "function", "name": "tool", "parameters": {}}],
            }),
        ),
        (
            "/ag-ui",
            json!({
                "threadId": broken("t"), "runId": broken("r"), "state": {}, "tools": [],
                "messages": [{"id": "m", "role": "user", "content": "hi"}], "context": [],
            }),
        ),
        (
            "/api/chat",
            json!({
                "id": broken("c"), "trigger": "submit-message",
                "messages": [{"id": "m", "role": "user", "parts": [{"type": "text", "text": "hi"}]}],
            }),
        ),
        (
            "/a2a",
            json!({
                "jsonrpc": "2.0", "id": broken("r"), "method": "SendStreamingMessage",
                "params": {"message": {
                    "messageId": "m", "role": "ROLE_USER", "contextId": broken("c"),
                    "parts": [{"text": "hi"}],
                }},
            }),
        ),
        (
            "/a2a/message:stream",
            json!({"message": {
                "messageId": "m", "role": "ROLE_USER", "contextId": broken("c"),
                "parts": [{"text": broken("hi")}],
            }}),
        ),
        (
            "/mcp",
            json!({
                "jsonrpc": "2.0", "id": broken("r"), "method": "tools/call",
                "params": {
                    "name": "agent", "arguments": {"prompt": "hi"},
                    "_meta": {"progressToken": broken("p")},
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
