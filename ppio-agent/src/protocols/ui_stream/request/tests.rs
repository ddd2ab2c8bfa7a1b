use serde_json::json;

use super::*;

fn request(body: Value) -> (Value, Chat) {
    let request: UiRequest = serde_json::from_value(body).unwrap();
    let (request, chat) = request.into_request();
    (serde_json::to_value(request).unwrap(), chat)
}

#[test]
fn a_message_of_the_assistant_is_split_at_the_results_of_tools() {
    let (found, chat) = request(json!({
        "id": "c", "trigger": "submit-message", "model": "small",
        "state": {"n": 1},
        "tools": {"see": {"description": "Looks", "inputSchema": {"type": "object"}}},
        "messages": [
            {"id": "1", "role": "system", "parts": [{"type": "text", "text": "Be brief."}]},
            {"id": "2", "role": "user", "metadata": {"at": 1}, "parts": [
                {"type": "file", "mediaType": "image/png", "filename": "a.png",
                    "url": "data:image/png;base64,AA=="},
                {"type": "file", "mediaType": "text/csv", "url": "https://a.example/b.csv"},
                {"type": "data-place", "data": {"city": "Rome"}},
                {"type": "text", "text": "What is this?"},
            ]},
            {"id": "3", "role": "assistant", "parts": [
                {"type": "step-start"},
                {"type": "reasoning", "text": "A picture?", "state": "done"},
                {"type": "text", "text": "I look.", "state": "done"},
                {"type": "tool-see", "toolCallId": "x", "state": "output-available",
                    "input": {"at": "a.png"}, "output": {"cat": true}},
                {"type": "dynamic-tool", "toolName": "smell", "toolCallId": "y",
                    "state": "output-error", "input": {}, "errorText": "no nose"},
                {"type": "tool-see", "toolCallId": "z", "state": "input-streaming"},
                {"type": "source-url", "sourceId": "s", "url": "https://a.example"},
                {"type": "text", "text": "A cat."},
            ]},
            {"id": "4", "role": "user", "parts": [{"type": "text", "text": "Sure?"}]},
        ],
    }));
    let expected = json!({
        "prompt": "Sure?",
        "messages": [
            {"id": "1", "role": "system", "content": "Be brief."},
            {"id": "2", "role": "user", "metadata": {"at": 1}, "content": [
                {"type": "file", "media_type": "image/png", "name": "a.png", "data": "AA=="},
                {"type": "file", "media_type": "text/csv", "url": "https://a.example/b.csv"},
                {"type": "data-place", "data": {"city": "Rome"}},
                {"type": "text", "text": "What is this?"},
            ]},
            {"id": "3", "role": "assistant",
                "content": [
                    {"type": "reasoning", "text": "A picture?"},
                    {"type": "text", "text": "I look."},
                ],
                "tool_calls": [
                    {"id": "x", "name": "see", "arguments": "{\"at\":\"a.png\"}"},
                    {"id": "y", "name": "smell", "arguments": "{}"},
                ]},
            {"role": "tool", "tool_call_id": "x", "content": "{\"cat\":true}"},
            {"role": "tool", "tool_call_id": "y", "content": "no nose", "error": "no nose"},
            {"id": "3", "role": "assistant", "content": "A cat."},
            {"id": "4", "role": "user", "content": "Sure?"},
        ],
        "tools": [{"name": "see", "description": "Looks", "parameters": {"type": "object"}}],
        "state": {"n": 1},
        "thread_id": "c",
        "stream": true,
        "metadata": {"model": "small"},
    });
    assert_eq!(found, expected);
    assert_eq!(chat.tools, ["see"]);
    assert!(chat.continued.is_none());
}

#[test]
fn decisions_of_the_last_step_are_responses() {
    let approved = |state: &str, approval: Value| {
        json!({"type": "dynamic-tool", "toolName": "mail", "toolCallId": "call",
            "state": state, "input": {}, "approval": approval})
    };
    let own = |state: &str, more: Value| {
        let mut part = json!({"type": "dynamic-tool", "toolName": "approval", "toolCallId": "i",
            "state": state, "input": {"interruptId": "i", "reason": "approval"}});
        part.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        part
    };
    let text = json!({"type": "text", "text": "May I?"});
    let earlier = approved("approval-responded", json!({"id": "old", "approved": true}));
    for (parts, expected) in [
        (
            json!([earlier, {"type": "step-start"}, text,
                approved("approval-responded", json!({"id": "i", "approved": true}))]),
            json!([{"interrupt_id": "i", "status": "resolved", "payload": {"approved": true}}]),
        ),
        (
            json!([approved(
                "approval-responded",
                json!({"id": "i", "approved": false, "reason": "no"})
            )]),
            json!([{"interrupt_id": "i", "status": "resolved",
                "payload": {"approved": false, "reason": "no"}}]),
        ),
        (
            json!([own(
                "output-available",
                json!({"output": {"day": "Monday"}})
            )]),
            json!([{"interrupt_id": "i", "status": "resolved", "payload": {"day": "Monday"}}]),
        ),
        (
            json!([own("output-error", json!({"errorText": "closed"}))]),
            json!([{"interrupt_id": "i", "status": "cancelled"}]),
        ),
        (
            json!([own("approval-requested", json!({"approval": {"id": "i"}}))]),
            Value::Null,
        ),
        (json!([earlier, {"type": "step-start"}, text]), Value::Null),
    ] {
        let (found, chat) = request(json!({
            "id": "c", "trigger": "submit-message",
            "messages": [{"id": "a", "role": "assistant", "parts": parts}],
        }));
        assert_eq!(found["resume"], expected, "{parts}");
        assert_eq!(chat.continued.unwrap().id, "a");
    }
}

#[test]
fn the_continued_message_is_the_last_or_the_named_one() {
    let message = |id: &str, role: &str| json!({"id": id, "role": role, "parts": []});
    for (trigger, named, last, expected) in [
        ("submit-message", None, "assistant", Some("3")),
        ("submit-message", None, "user", None),
        ("submit-message", Some("2"), "user", Some("2")),
        ("submit-message", Some("1"), "assistant", None),
        ("regenerate-message", Some("2"), "user", None),
    ] {
        let (found, chat) = request(json!({
            "id": "c", "trigger": trigger, "messageId": named,
            "messages": [message("1", "user"), message("2", "assistant"), message("3", last)],
        }));
        let continued = chat.continued.map(|message| message.id);
        assert_eq!(continued.as_deref(), expected, "{trigger} {named:?} {last}");
        let regenerates = found["trigger"] == "regenerate-message";
        assert_eq!(regenerates, trigger == "regenerate-message");
    }
}
