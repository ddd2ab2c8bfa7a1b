//! The same interrupt and response in three protocols.

use ppio_test_support::{AgentProcess, call};
use serde_json::{Value, json};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

async fn post(agent: &AgentProcess, path: &str, body: &Value) -> String {
    call::send(agent, "POST", path, &JSON, body.to_string())
        .await
        .text()
        .await
}

/// Returns the JSON events of an event stream.
fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

fn find<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    let found = events.iter().find(|event| event["type"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {events:?}"))
}

#[tokio::test]
async fn ag_ui_resumes_the_thread() {
    let agent = AgentProcess::start("approval");
    let input = |run: &str, prompt: &str| {
        let message = json!({ "id": "m1", "role": "user", "content": prompt });
        json!({ "threadId": "t1", "runId": run, "messages": [message] })
    };
    for (index, (prompt, text)) in [
        ("book a table for 4", "A table for 4 is booked."),
        ("refund order 17", "Order 17 is refunded."),
    ]
    .into_iter()
    .enumerate()
    {
        let asked = events(&post(&agent, "/ag-ui", &input(&format!("a{index}"), prompt)).await);
        let outcome = &find(&asked, "RUN_FINISHED")["outcome"];
        assert_eq!(outcome["type"], "interrupt", "{asked:?}");
        let id = &outcome["interrupts"][0]["id"];
        let mut answered = input(&format!("b{index}"), prompt);
        answered["resume"] =
            json!([{ "interruptId": id, "status": "resolved", "payload": { "approved": true } }]);
        let answer = events(&post(&agent, "/ag-ui", &answered).await);
        assert_eq!(find(&answer, "TEXT_MESSAGE_CONTENT")["delta"], text);
        assert_eq!(find(&answer, "RUN_FINISHED")["outcome"]["type"], "success");
    }
}

#[tokio::test]
async fn a2a_resumes_the_task() {
    let agent = AgentProcess::start("approval");
    for (prompt, text) in [
        ("book a table for 4", "A table for 4 is booked."),
        ("refund order 17", "Order 17 is refunded."),
    ] {
        let send = async |message: Value| {
            let params = json!({ "message": message });
            let request =
                json!({ "jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params });
            let answer: Value =
                serde_json::from_str(&post(&agent, "/a2a", &request).await).unwrap();
            answer["result"]["task"].clone()
        };
        let parts = json!([{ "text": prompt }]);
        let task = send(json!({ "messageId": "m1", "role": "ROLE_USER", "parts": parts })).await;
        assert_eq!(
            task["status"]["state"], "TASK_STATE_INPUT_REQUIRED",
            "{task}"
        );
        let parts = json!([{ "data": { "approved": true } }]);
        let answer = json!({
            "messageId": "m2", "role": "ROLE_USER", "taskId": task["id"],
            "contextId": task["contextId"], "parts": parts,
        });
        let task = send(answer).await;
        assert_eq!(task["status"]["state"], "TASK_STATE_COMPLETED", "{task}");
        assert_eq!(task["artifacts"][0]["parts"][0]["text"], text, "{task}");
    }
}

#[tokio::test]
async fn the_ui_message_stream_approves_the_call() {
    let agent = AgentProcess::start("approval");
    let question = json!({
        "id": "m1", "role": "user", "parts": [{ "type": "text", "text": "refund order 17" }],
    });
    let chat =
        |messages: Value| json!({ "id": "c1", "trigger": "submit-message", "messages": messages });
    let asked = events(&post(&agent, "/api/chat", &chat(json!([question]))).await);
    let request = find(&asked, "tool-approval-request");
    let call = find(&asked, "tool-input-available");
    assert_eq!(request["toolCallId"], call["toolCallId"]);
    // The message part that `addToolApprovalResponse` creates in the page.
    let part = json!({
        "type": "dynamic-tool", "toolName": "refund", "toolCallId": call["toolCallId"],
        "state": "approval-responded", "input": call["input"],
        "approval": { "id": request["approvalId"], "approved": true },
    });
    let answered =
        json!({ "id": find(&asked, "start")["messageId"], "role": "assistant", "parts": [part] });
    let answer = events(&post(&agent, "/api/chat", &chat(json!([question, answered]))).await);
    let output = &find(&answer, "tool-output-available")["output"];
    assert_eq!(output, &json!({ "refunded": 4500 }), "{answer:?}");
    assert_eq!(
        find(&answer, "text-delta")["delta"],
        "Order 17 is refunded."
    );
}
