//! Chat events and interrupts.

use serde_json::{Value, json};

use super::{STATELESS, post, request, start, text_of};

#[tokio::test(flavor = "multi_thread")]
async fn chat_events_are_sent_as_progress_messages() {
    let agent = start();
    let call = async |prompt: &str, arguments: Value| {
        let mut arguments = arguments;
        arguments["prompt"] = prompt.into();
        let params = json!({
            "name": "protocol-tests",
            "arguments": arguments,
            "_meta": {"progressToken": "t"},
        });
        let answer = post(&agent, &[], &request("tools/call", &params)).await;
        answer.items().await
    };
    let messages = call("weather", json!({})).await;
    let message = |at: usize| messages[at]["params"]["message"].as_str().unwrap();
    let thought: Value = serde_json::from_str(message(0)).unwrap();
    assert_eq!(thought["type"], "reasoning_delta");
    let result = &messages.last().unwrap()["result"];
    assert_eq!(text_of(result), "It is 20 degrees.");

    // In either generation, the call is repeated with the response to the interrupt.
    let messages = call("approve", json!({})).await;
    let result = &messages.last().unwrap()["result"];
    let interrupt = result["content"][1]["text"].as_str().unwrap();
    let interrupt: Value = serde_json::from_str(interrupt).unwrap();
    assert_eq!(interrupt["id"], "interrupt-1");
    let response = json!({"interrupt_id": interrupt["id"], "payload": {"approved": true}});
    let messages = call("approve", json!({"resume": [response]})).await;
    let result = &messages.last().unwrap()["result"];
    assert_eq!(text_of(result), "Decided: {\"approved\":true}.");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_is_a_form_for_clients_that_support_forms() {
    let agent = start();
    let call = async |elicitation: Value, responses: Value| {
        let params = json!({
            "name": "protocol-tests",
            "arguments": {"prompt": "approve"},
            "inputResponses": responses,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": STATELESS,
                "io.modelcontextprotocol/clientCapabilities": {"elicitation": elicitation},
            },
        });
        let headers = [
            ("mcp-protocol-version", STATELESS),
            ("mcp-method", "tools/call"),
            ("mcp-name", "protocol-tests"),
        ];
        let answer = post(&agent, &headers, &request("tools/call", &params)).await;
        answer.json().await["result"].clone()
    };
    for elicitation in [json!({}), json!({"form": {}})] {
        let asked = call(elicitation, json!({})).await;
        assert_eq!(asked["resultType"], "input_required", "{asked}");
        let form = &asked["inputRequests"]["interrupt-1"];
        assert_eq!(form["method"], "elicitation/create");
        assert_eq!(form["params"]["message"], "May I send the mail?");
    }
    let refused = call(json!({"url": {}}), json!({})).await;
    assert_eq!(refused["resultType"], "complete");
    let accepted = json!({"action": "accept", "content": {"approved": true}});
    for (response, text) in [
        (accepted, "Decided: {\"approved\":true}."),
        (json!({"action": "decline"}), "Nothing was decided."),
    ] {
        let answer = call(json!({}), json!({"interrupt-1": response})).await;
        assert_eq!(answer["resultType"], "complete");
        assert_eq!(text_of(&answer), text);
    }
}
