use serde_json::json;

use super::*;

fn request(input: Value) -> Value {
    let input: RunAgentInput = serde_json::from_value(input).unwrap();
    serde_json::to_value(input.into_request()).unwrap()
}

#[test]
fn every_member_is_converted() {
    let found = request(json!({
        "threadId": "t", "runId": "r", "parentRunId": "p", "protocolVersion": "1.0",
        "messages": [
            {"id": "1", "role": "system", "content": "Be brief."},
            {"id": "2", "role": "user", "content": "What is this?", "name": "Ann"},
            {"id": "a", "role": "activity", "activityType": "plan", "content": {"steps": []}},
            {"id": "3", "role": "reasoning", "content": "A picture?", "encryptedValue": "x"},
            {"id": "4", "role": "assistant", "toolCalls": [{
                "id": "c", "type": "function", "function": {"name": "see", "arguments": "{}"},
            }]},
            {"id": "5", "role": "tool", "toolCallId": "c", "content": "a cat", "error": "blurred"},
        ],
        "tools": [{"name": "see", "description": "Sees", "parameters": {"type": "object"}}],
        "state": {"seen": 1},
        "context": [{"description": "city", "value": "Paris"}],
        "forwardedProps": {"theme": "dark"},
        "resume": [
            {"interruptId": "i", "status": "resolved", "payload": {"approved": true}},
            {"interruptId": "j", "status": "cancelled"},
        ],
        "later": 1,
    }));
    let expected = json!({
        "prompt": "What is this?",
        "messages": [
            {"id": "1", "role": "system", "content": "Be brief."},
            {"id": "2", "role": "user", "content": "What is this?", "name": "Ann"},
            {
                "id": "4", "role": "assistant",
                "content": [{"type": "reasoning", "text": "A picture?", "encryptedValue": "x"}],
                "tool_calls": [{"id": "c", "name": "see", "arguments": "{}"}],
            },
            {
                "id": "5", "role": "tool", "tool_call_id": "c", "content": "a cat",
                "error": "blurred",
            },
        ],
        "tools": [{"name": "see", "description": "Sees", "parameters": {"type": "object"}}],
        "state": {"seen": 1},
        "thread_id": "t",
        "resume": [
            {"interrupt_id": "i", "status": "resolved", "payload": {"approved": true}},
            {"interrupt_id": "j", "status": "cancelled"},
        ],
        "stream": true,
        "metadata": {"theme": "dark"},
        "request_id": "r",
        "context": [{"description": "city", "value": "Paris"}],
        "parentRunId": "p",
    });
    assert_eq!(found, expected);
}

#[test]
fn files_are_parts() {
    let handle = json!({"type": "document", "source": {"type": "file", "value": "f-1"}});
    for (sent, expected) in [
        (
            json!({"type": "text", "text": "hi"}),
            json!({"type": "text", "text": "hi"}),
        ),
        (
            json!({
                "type": "image", "source": {"type": "data", "value": "AA==", "mimeType": "image/png"},
            }),
            json!({"type": "file", "media_type": "image/png", "data": "AA=="}),
        ),
        (
            json!({
                "type": "audio", "source": {"type": "url", "value": "https://a.example/b"},
                "metadata": {"filename": "b.ogg"},
            }),
            json!({
                "type": "file", "media_type": "audio/*", "url": "https://a.example/b",
                "name": "b.ogg",
            }),
        ),
        (
            json!({"type": "binary", "mimeType": "text/csv", "data": "AA==", "filename": "a.csv"}),
            json!({"type": "file", "media_type": "text/csv", "data": "AA==", "name": "a.csv"}),
        ),
        (handle.clone(), handle),
        (json!({"type": "later"}), json!({"type": "later"})),
    ] {
        let found = serde_json::to_value(part(sent.clone())).unwrap();
        assert_eq!(found, expected, "{sent}");
    }
}

#[test]
fn empty_and_null_members_are_absent() {
    let found = request(json!({
        "threadId": "t", "runId": "r", "messages": [], "tools": [], "context": [], "state": null,
        "forwardedProps": {}, "resume": null,
    }));
    assert_eq!(
        found,
        json!({"thread_id": "t", "request_id": "r", "stream": true})
    );
}

#[test]
fn reasoning_after_the_last_message_is_kept() {
    let input = json!({"threadId": "t", "runId": "r", "messages": [
        {"id": "1", "role": "reasoning", "content": "hm"},
        {"id": "2", "role": "user", "content": "well?"},
        {"id": "3", "role": "reasoning", "content": "so"},
    ]});
    let thought =
        |text| json!({"role": "assistant", "content": [{"type": "reasoning", "text": text}]});
    assert_eq!(
        request(input)["messages"],
        json!([thought("hm"), {"id": "2", "role": "user", "content": "well?"}, thought("so")])
    );
}
